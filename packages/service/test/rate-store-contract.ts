import type { FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import { describe, expect, it } from 'vitest'

const WINDOW_MS = 60_000

/** Counts as @fastify/rate-limit does. */
export function counterOf(Store: FastifyRateLimitStoreCtor) {
  const store = new Store({})
  return (key: string, windowMs = WINDOW_MS) =>
    new Promise<{ current: number; ttl: number }>((resolve, reject) => {
      store.incr(
        key,
        (error, result) => (result === undefined ? reject(error) : resolve(result)),
        windowMs,
        100,
      )
    })
}

export interface RateStoreUnderTest {
  readonly Store: FastifyRateLimitStoreCtor
  /** Lets time pass for a key. */
  pass(key: string, ms: number): Promise<void>
}

export function rateStoreContract(open: () => Promise<RateStoreUnderTest>): void {
  describe('a store of rates', () => {
    it('counts each key for itself, in a window that begins with its first request', async () => {
      const { Store, pass } = await open()
      const count = counterOf(Store)
      expect((await count('ann')).current).toBe(1)
      await pass('ann', 20_000)
      expect((await count('bob')).current).toBe(1)
      const { current, ttl } = await count('ann')
      expect([current, Math.ceil(ttl / 1_000)]).toEqual([2, 40])
      await pass('ann', 40_000)
      expect((await count('ann')).current).toBe(1)
      expect((await count('bob')).current).toBe(2)
    })

    it('gives each of many that come at once a number of its own, for keys of any name', async () => {
      const { Store } = await open()
      const count = counterOf(Store)
      for (const key of ['runs:ann', '}', '{x}', '🦊', 'requests:\naddress:192.0.2.1', 'x'.repeat(200)]) {
        const counts = await Promise.all(Array.from({ length: 20 }, () => count(key)))
        expect(counts.map(({ current }) => current).toSorted((a, b) => a - b)).toEqual(
          Array.from({ length: 20 }, (_, index) => index + 1),
        )
      }
    })
  })
}
