import { describe, expect, it } from 'vitest'
import { faultLog } from './fault-log.ts'

function logged(state: 'up' | 'down') {
  const lines: [level: string, fields: unknown, message: string | undefined][] = []
  const logger = {
    warn: (fields: unknown, message?: string) => void lines.push(['warn', fields, message]),
    debug: (fields: unknown, message?: string) => void lines.push(['debug', fields, message]),
  }
  const status = state === 'up' ? { state, since: 0 } : { state, since: 0, reason: 'refused' }
  const error = new Error('a fault')
  faultLog({ status }, logger, 'the queue has a fault')(error)
  return { lines, error }
}

describe('the log of faults on Redis', () => {
  it('warns where Redis is there', () => {
    const { lines, error } = logged('up')
    expect(lines).toEqual([['warn', { err: error }, 'the queue has a fault']])
  })

  it('leaves what is known already to who debugs', () => {
    const { lines, error } = logged('down')
    expect(lines).toEqual([['debug', { err: error }, 'the queue has a fault']])
  })
})
