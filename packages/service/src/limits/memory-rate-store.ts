import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { Clock } from '@tributary/protocol'
import { LRUCache } from 'lru-cache'

/** Keys that are counted at a time. Beyond it the one that was quiet for longest is forgotten, and begins anew. */
const DEFAULT_MAX_KEYS = 10_000

interface Window {
  count: number
  readonly endsAtMs: number
}

export interface MemoryRateStoreOptions {
  readonly clock: Pick<Clock, 'elapsed'>
  /** Default 10,000. */
  readonly maxKeys?: number
}

/**
 * Counts in the memory of this process, in windows that begin with the first request of each key. The port is the
 * store of @fastify/rate-limit, which makes it of a class.
 */
export function memoryRateStore({
  clock,
  maxKeys = DEFAULT_MAX_KEYS,
}: MemoryRateStoreOptions): FastifyRateLimitStoreCtor {
  const windows = new LRUCache<string, Window>({ max: maxKeys })
  return class MemoryRateStore implements FastifyRateLimitStore {
    incr(...[key, callback, windowMs]: Parameters<FastifyRateLimitStore['incr']>): void {
      const nowMs = clock.elapsed()
      let window = windows.get(key)
      if (window === undefined || window.endsAtMs <= nowMs) {
        window = { count: 0, endsAtMs: nowMs + windowMs }
        windows.set(key, window)
      }
      window.count += 1
      callback(null, { current: window.count, ttl: window.endsAtMs - nowMs })
    }

    /** The keys name their class already. */
    child(): FastifyRateLimitStore {
      return this
    }
  }
}
