import { describe, expect, it } from 'vitest'
import { retryAfterMs } from './retry-after.ts'

const NOW_MS = Date.UTC(1994, 10, 6, 8, 49, 0)

describe('retryAfterMs', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7_000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 37_000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 37_000],
    ['Sun Nov  6 08:49:37 1994', 37_000],
    ['Sun, 06 Nov 1994 08:48:37 GMT', 0],
  ])('reads %j', (header, ms) => {
    expect(retryAfterMs(header, NOW_MS)).toBe(ms)
  })

  it.each([null, '', '-1', '1.5', '1e3', 'tomorrow', '1994-11-06', 'Sun, 99 Nov 1994 08:49:37 GMT'])(
    'passes over %j',
    (header) => {
      expect(retryAfterMs(header, NOW_MS)).toBeUndefined()
    },
  )
})
