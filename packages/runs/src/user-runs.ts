import { ProblemError } from '@tributary/protocol'

/** Seconds until a user who has too many should try again. */
const RETRY_AFTER_S = 5

export interface UserRunsOptions {
  /** Runs of one user at a time. Default 0: no limit. */
  readonly maxRunsPerUser?: number
  /** Tasks of one user's runs that have not ended. Default 0: no limit. */
  readonly maxTasksPerUser?: number
}

/** How many tasks of a run have not ended. */
type OpenTasks = () => number

/** The runs of each user that have not ended, from the moment they are asked for. Keeps each user to so many. */
export class UserRuns {
  readonly #maxRuns: number
  readonly #maxTasks: number
  readonly #byUser = new Map<string, Map<string, OpenTasks>>()

  constructor({ maxRunsPerUser = 0, maxTasksPerUser = 0 }: UserRunsOptions) {
    this.#maxRuns = maxRunsPerUser
    this.#maxTasks = maxTasksPerUser
  }

  /**
   * Takes a place for a run that is asked for, until `release`.
   *
   * @throws ProblemError `user_run_limit`, `user_task_limit` where the user has too many; `too_many_tasks` where the run
   *   alone has more than a user may have.
   */
  take(userId: string, runId: string, totalTasks: number): void {
    const runs = this.#byUser.get(userId)
    if (this.#maxTasks > 0 && totalTasks > this.#maxTasks) {
      throw new ProblemError(
        'too_many_tasks',
        `There are ${totalTasks} tasks; one user may have ${this.#maxTasks} (MAX_TASKS_PER_USER).`,
      )
    }
    if (this.#maxRuns > 0 && (runs?.size ?? 0) >= this.#maxRuns) {
      throw this.#refusal('user_run_limit', userId, `${this.#maxRuns} runs`, 'MAX_RUNS_PER_USER')
    }
    if (this.#maxTasks > 0 && this.#openTasks(runs) + totalTasks > this.#maxTasks) {
      throw this.#refusal('user_task_limit', userId, `${this.#maxTasks} open tasks`, 'MAX_TASKS_PER_USER')
    }
    this.hold(userId, runId, () => totalTasks)
  }

  /** Notes a run that there is, whatever the limits: it was accepted. */
  hold(userId: string, runId: string, openTasks: OpenTasks): void {
    const runs = this.#byUser.get(userId) ?? new Map()
    this.#byUser.set(userId, runs.set(runId, openTasks))
  }

  /** Lets go of a run, once. */
  release(userId: string, runId: string): void {
    const runs = this.#byUser.get(userId)
    if (runs?.delete(runId) && runs.size === 0) this.#byUser.delete(userId)
  }

  #openTasks(runs: ReadonlyMap<string, OpenTasks> | undefined): number {
    let open = 0
    for (const openTasks of runs?.values() ?? []) open += Math.max(0, openTasks())
    return open
  }

  #refusal(
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
}
