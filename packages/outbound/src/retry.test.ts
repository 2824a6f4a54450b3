import { describe, expect, it } from 'vitest'
import { isRetryableStatus, retryAfterMs, retryDelayMs } from './retry.ts'

const nowMs = Date.UTC(1994, 10, 6, 8, 49, 0)
const bounds = { baseMs: 100, maxMs: 10_000, nowMs }

describe('retryDelayMs', () => {
  it('doubles its ceiling with each attempt, up to the maximum', () => {
    const ceilings = [1, 2, 3, 7, 8, 60, 5000].map((attempt) =>
      retryDelayMs({ ...bounds, attempt, random: () => 1 }),
    )
    expect(ceilings).toEqual([100, 200, 400, 6400, 10_000, 10_000, 10_000])
  })

  it('spreads over the whole range', () => {
    const delays = [0, 0.25, 0.5].map((value) => retryDelayMs({ ...bounds, attempt: 2, random: () => value }))
    expect(delays).toEqual([0, 50, 100])
  })

  it('adds the jitter to what the server asks for', () => {
    expect(retryDelayMs({ ...bounds, attempt: 1, retryAfter: '3', random: () => 0.5 })).toBe(3050)
  })

  it('does not wait longer than the maximum, whatever the server asks for', () => {
    expect(retryDelayMs({ ...bounds, attempt: 1, retryAfter: '86400', random: () => 0.5 })).toBe(10_000)
    expect(retryDelayMs({ ...bounds, attempt: 1, retryAfter: '9'.repeat(400), random: () => 0.5 })).toBe(
      10_000,
    )
  })

  it('passes over a Retry-After that is none', () => {
    expect(retryDelayMs({ ...bounds, attempt: 1, retryAfter: 'soon', random: () => 0.5 })).toBe(50)
  })
})

describe('retryAfterMs', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 37_000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 37_000],
    ['Sun Nov  6 08:49:37 1994', 37_000],
    ['Sun, 06 Nov 1994 08:48:37 GMT', 0],
  ])('reads %j', (header, ms) => {
    expect(retryAfterMs(header, nowMs)).toBe(ms)
  })

  it.each(['', '-1', '1.5', '1e3', 'tomorrow', '1994-11-06', 'Sun, 99 Nov 1994 08:49:37 GMT'])(
    'passes over %j',
    (header) => {
      expect(retryAfterMs(header, nowMs)).toBeUndefined()
    },
  )

  it('takes the first of several', () => {
    expect(retryAfterMs(['1', '2'], nowMs)).toBe(1000)
    expect(retryAfterMs(undefined, nowMs)).toBeUndefined()
  })
})

it('retries the statuses that pass', () => {
  expect([408, 425, 429, 500, 502, 503, 504].every(isRetryableStatus)).toBe(true)
  expect([200, 301, 400, 401, 404, 409, 422, 501, 505].some(isRetryableStatus)).toBe(false)
})
