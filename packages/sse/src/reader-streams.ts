import { ProblemError } from '@tributary/protocol'
import type { UserQuota } from '@tributary/quota'
import type { StreamSlot } from './stream-admission.ts'

/** Seconds until who reads too many should try again. */
const RETRY_AFTER_S = 10

/** How many streams each reader has, where whoever takes a place names him. Keeps each to so many. */
export class ReaderStreams {
  readonly #quota: UserQuota

  constructor(quota: UserQuota) {
    this.#quota = quota
  }

  /** @throws ProblemError `user_connection_limit` */
  async take(reader: string): Promise<StreamSlot> {
    const { maxHolds } = this.#quota.limits
    const id = globalThis.crypto.randomUUID()
    const answer = await this.#quota.take({ userId: reader, id, weight: () => 0 })
    if (answer !== 'taken') throw tooMany(maxHolds)
    return { release: () => this.#quota.release(reader, id) }
  }
}

function tooMany(max: number): ProblemError {
  return new ProblemError(
    'user_connection_limit',
    `This user reads ${max} streams of runs, and may read no more at a time (MAX_RUN_STREAMS_PER_USER); close one. ` +
      `Try again in ${RETRY_AFTER_S} s.`,
    { retryAfterS: RETRY_AFTER_S },
  )
}
