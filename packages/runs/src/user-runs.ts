import { ProblemError } from '@tributary/protocol'
import type { UserQuota } from '@tributary/quota'

/** Seconds until a user who has too many should try again. */
const RETRY_AFTER_S = 5

/** How many tasks of a run have not ended. */
type OpenTasks = () => number

/** The runs of each user that have not ended, from the moment they are asked for. Keeps each user to so many. */
export class UserRuns {
  readonly #quota: UserQuota

  /** @param quota counts runs, which weigh what they have of open tasks. */
  constructor(quota: UserQuota) {
    this.#quota = quota
  }

  /**
   * Takes a place for a run that is asked for, until `release`.
   *
   * @throws ProblemError `user_run_limit`, `user_task_limit` where the user has too many; `too_many_tasks` where the run
   *   alone has more than a user may have.
   */
  async take(userId: string, runId: string, totalTasks: number): Promise<void> {
    const { maxHolds: maxRuns, maxWeight: maxTasks } = this.#quota.limits
    if (maxTasks > 0 && totalTasks > maxTasks) {
      throw new ProblemError(
        'too_many_tasks',
        `There are ${totalTasks} tasks; one user may have ${maxTasks} (MAX_TASKS_PER_USER).`,
      )
    }
    const answer = await this.#quota.take({ userId, id: runId, weight: () => totalTasks })
    if (answer === 'too_many') throw refusal('user_run_limit', userId, `${maxRuns} runs`, 'MAX_RUNS_PER_USER')
    if (answer === 'too_heavy')
      throw refusal('user_task_limit', userId, `${maxTasks} open tasks`, 'MAX_TASKS_PER_USER')
  }

  /** Notes a run that there is, whatever the limits: it was accepted. @param isOver whether this node has it no more. */
  hold(userId: string, runId: string, openTasks: OpenTasks, isOver?: () => boolean): void {
    const known = isOver === undefined ? {} : { isOver }
    this.#quota.hold({ userId, id: runId, weight: openTasks, ...known })
  }

  /** Lets go of a run, once. */
  release(userId: string, runId: string): void {
    this.#quota.release(userId, runId)
  }
}

function refusal(
  code: 'user_run_limit' | 'user_task_limit',
  userId: string,
  many: string,
  by: string,
): ProblemError {
  return new ProblemError(
    code,
    `The user ${JSON.stringify(userId)} may have ${many} at a time (${by}); cancel one, or try again in ${RETRY_AFTER_S} s.`,
    { retryAfterS: RETRY_AFTER_S },
  )
}
