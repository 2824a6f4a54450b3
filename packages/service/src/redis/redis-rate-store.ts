import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { Clock, ComponentHealth } from '@tributary/protocol'
import { defineScript, QuickCalls, type RedisConnections } from '@tributary/redis'
import Type from 'typebox'
import { type RateCount, RateWindows } from '../limits/rate-windows.ts'
import { ServiceKeys } from './redis-keys.ts'

const COUNT = defineScript({
  name: 'count-request',
  file: new URL('./count-request.lua', import.meta.url),
  answer: Type.Tuple([Type.Integer({ minimum: 1 }), Type.Integer({ minimum: 0 })]),
})

export interface RedisRateStoreOptions {
  readonly redis: RedisConnections
  /** `REDIS_PREFIX` */
  readonly prefix: string
  readonly clock: Clock
}

/**
 * Counts the requests of each key over all nodes, in one round trip. While Redis is away, or slow, this node counts for
 * itself, from what was counted last: nobody is refused or kept waiting for that.
 */
export class RedisRateStore {
  /** What @fastify/rate-limit makes its store of. */
  readonly store: FastifyRateLimitStoreCtor
  readonly #quick: QuickCalls
  readonly #keys: ServiceKeys
  readonly #here: RateWindows

  constructor({ redis, prefix, clock }: RedisRateStoreOptions) {
    this.#quick = new QuickCalls({ redis, clock })
    this.#keys = new ServiceKeys(prefix)
    this.#here = new RateWindows({ clock })
    const count = (key: string, windowMs: number) => this.#count(key, windowMs)
    this.store = class implements FastifyRateLimitStore {
      incr(...[key, callback, windowMs]: Parameters<FastifyRateLimitStore['incr']>): void {
        count(key, windowMs).then(
          (counted) => callback(null, counted),
          (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
        )
      }

      /** The keys name their class already. */
      child(): FastifyRateLimitStore {
        return this
      }
    }
  }

  get health(): ComponentHealth {
    const { reason } = this.#quick
    if (reason === undefined) return { status: 'ok' }
    return {
      status: 'degraded',
      reason: `each node counts rate limits for itself, for Redis is away: ${reason}`,
    }
  }

  async #count(key: string, windowMs: number): Promise<RateCount> {
    const counted = await this.#quick.run(COUNT, [this.#keys.rate(key)], [windowMs])
    if (counted === undefined) return this.#here.count(key, windowMs)
    const [current, ttl] = counted
    this.#here.set(key, { current, ttl })
    return { current, ttl }
  }
}
