import type { Clock } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import type { Job, Queue } from 'bullmq'
import type { RunHold } from '../run-queue.ts'

/** How often a job is pushed back within the time that it is pushed back by. */
const PUSHES = 3

export interface HeldJobOptions {
  readonly runId: string
  /** Aborted where another node has the run. */
  readonly lost: AbortSignal
  readonly queue: Queue
  readonly redis: RedisConnections
  readonly clock: Clock
  /** How long after the last push another node may take the run. */
  readonly leaseMs: number
}

/**
 * A run that this node executes without having waited for it. Its job is a delayed one, which the node keeps pushing
 * back: it comes to another only when this one does not push it any more.
 */
export class HeldJob implements RunHold {
  readonly runId: string
  readonly #options: HeldJobOptions
  readonly #stopPushing: () => void

  constructor(options: HeldJobOptions) {
    this.runId = options.runId
    this.#options = options
    const { clock, leaseMs } = options
    this.#stopPushing = clock.every(leaseMs / PUSHES, () => void this.#push())
  }

  get lost(): AbortSignal {
    return this.#options.lost
  }

  /** The run has ended: nobody needs to take it. */
  async end(): Promise<void> {
    this.#stopPushing()
    const job = await this.#job()
    // Where another has it meanwhile, that one sees that it is over.
    await job?.remove().catch(() => undefined)
  }

  /** Another is to take it, at once or after a while. */
  async giveBack(delayMs: number): Promise<void> {
    this.#stopPushing()
    if (this.lost.aborted) return
    const job = await this.#job()
    if (delayMs === 0) await job?.promote().catch(() => undefined)
    else await job?.changeDelay(delayMs).catch(() => undefined)
  }

  async #push(): Promise<void> {
    const { redis, leaseMs } = this.#options
    if (redis.status.state !== 'up') return
    try {
      const job = await this.#job()
      // Where another node has it in this moment, that one sees that this one lives, and delays it again.
      if (await job?.isDelayed()) await job?.changeDelay(leaseMs)
    } catch {
      // Redis is away, or somebody took the job in this moment: there is a next push.
    }
  }

  #job(): Promise<Job | undefined> {
    return this.#options.redis.call(() => this.#options.queue.getJob(this.runId))
  }
}
