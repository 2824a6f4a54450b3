import { describe, expect, it } from 'vitest'
import {
  CONTROL_EVENTS,
  DisconnectReason,
  isControlEvent,
  NEVER_RETRY_MS,
  RECONNECTS,
} from './control-event.ts'
import { encodeFrame } from './sse-encoder.ts'

describe('control events', () => {
  it('are told from the events of a log', () => {
    for (const type of CONTROL_EVENTS) expect(isControlEvent(type)).toBe(true)
    for (const type of ['message', 'complete', 'error', 'Heartbeat', ''])
      expect(isControlEvent(type)).toBe(false)
  })

  it('say for every reason whether to come back', () => {
    expect(Object.keys(RECONNECTS).sort()).toEqual([...DisconnectReason.enum].sort())
    expect(encodeFrame({ retryMs: NEVER_RETRY_MS })).toBe('retry: 86400000\n\n')
  })
})
