import { CONTROL_EVENTS } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { newEvent } from './new-event.ts'

describe('newEvent', () => {
  it.each(CONTROL_EVENTS)('refuses %s, which is what a stream says of itself', (type) => {
    expect(() => newEvent({ type, data: {}, source: 'test' }, 1_000)).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    )
  })

  it('takes any other name', () => {
    expect(newEvent({ type: 'gap2', data: {}, source: 'test' }, 1_000)).toMatchObject({
      type: 'gap2',
      json: '{}',
    })
  })
})
