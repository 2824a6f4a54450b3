import type { Clock } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import type { Queue } from 'bullmq'
import type { RunQueueKeys } from './redis-keys.ts'
import { LATE_RUNS } from './run-queue-scripts.ts'

/** How often it is looked, as a part of the lock. */
const LOOKS = 2
const MOST_AT_ONCE = 100

export interface LateJobsOptions {
  readonly redis: RedisConnections
  readonly keys: Pick<RunQueueKeys, 'owned' | 'delayed'>
  readonly queue: Queue
  readonly clock: Clock
  /** How long a node may say nothing before its runs go to others, in ms. */
  readonly lockMs: number
  /** The longest that a job has to wait, in ms. */
  readonly longestMs: number
}

/**
 * Has jobs taken that wait for too long. They wait by the clocks of nodes, while owners live by that of Redis: where a node
 * whose clock was ahead dies, nobody else would come to what it had before that time.
 */
export class LateJobs implements Disposable {
  readonly #options: LateJobsOptions
  #stopLooking: (() => void) | undefined

  constructor(options: LateJobsOptions) {
    this.#options = options
  }

  /** Looks from now on. Idempotent. */
  start(): void {
    const { clock, lockMs } = this.#options
    this.#stopLooking ??= clock.every(lockMs / LOOKS, () => void this.#look().catch(() => undefined))
  }

  [Symbol.dispose](): void {
    this.#stopLooking?.()
  }

  /** What goes wrong does so because Redis is away: there is a next look. */
  async #look(): Promise<void> {
    const { redis, keys, queue, lockMs, longestMs } = this.#options
    if (redis.status.state !== 'up') return
    const { owned, delayed } = keys
    const runIds = await redis.run(LATE_RUNS, [owned, delayed], [longestMs, lockMs / LOOKS, MOST_AT_ONCE])
    for (const runId of runIds) {
      const job = await redis.call(() => queue.getJob(runId))
      // Where it waits no more, another node was quicker.
      await job?.promote().catch(() => undefined)
    }
  }
}
