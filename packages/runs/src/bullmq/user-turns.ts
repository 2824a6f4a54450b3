import type { RedisConnections } from '@tributary/redis'
import type { QueuedRun } from '../run-queue.ts'
import { LEAVE_TURN, TAKE_TURN } from './run-queue-scripts.ts'

/** The highest priority of BullMQ, which is the last that comes. */
const LAST_TURN = 2_097_152

/** In which order the runs of many users wait: users take turns. */
export class UserTurns {
  readonly #redis: RedisConnections
  readonly #key: string

  constructor(redis: RedisConnections, key: string) {
    this.#redis = redis
    this.#key = key
  }

  /** The turn of a run that is to wait: the lower, the sooner. */
  take({ runId, userId }: QueuedRun): Promise<number> {
    return this.#redis.run(TAKE_TURN, [this.#key], [runId, userId, LAST_TURN], { again: true })
  }

  /** A run waits no more. @param hasCome whether its turn had come. */
  async leave(runId: string, hasCome: boolean): Promise<void> {
    await this.#redis.run(LEAVE_TURN, [this.#key], [runId, hasCome ? 1 : 0], { again: true })
  }
}
