import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import { RateWindows, type RateWindowsOptions } from './rate-windows.ts'

/** Counts in the memory of this process. The port is the store of @fastify/rate-limit, which makes it of a class. */
export function memoryRateStore(options: RateWindowsOptions): FastifyRateLimitStoreCtor {
  const windows = new RateWindows(options)
  return class MemoryRateStore implements FastifyRateLimitStore {
    incr(...[key, callback, windowMs]: Parameters<FastifyRateLimitStore['incr']>): void {
      callback(null, windows.count(key, windowMs))
    }

    /** The keys name their class already. */
    child(): FastifyRateLimitStore {
      return this
    }
  }
}
