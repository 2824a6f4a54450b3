import { classifyError, type OutboundClient, retryDelayMs } from '@tributary/outbound'
import { type Clock, TASK_ERROR_CODES } from '@tributary/protocol'
import {
  type HandlerRunner,
  RunAbort,
  type RunWork,
  runNamedTask,
  TaskBoard,
  type TaskLog,
} from '@tributary/runs'
import { callHttp, HttpStatusError } from './http-task.ts'
import type { PlannedHttpTask, PlannedTask } from './task-plan.ts'
import type { TaskLane, TaskScheduler } from './task-scheduler.ts'

/** What running tasks takes, the same for all runs of a worker. */
export interface TaskServices {
  readonly client: OutboundClient
  readonly handlers: HandlerRunner
  readonly scheduler: TaskScheduler
  readonly clock: Clock
  readonly random: () => number
  readonly log: TaskLog
  readonly maxBodyBytes: number
  readonly maxEventBytes: number
}

export interface RunTasksOptions {
  /** Tasks of this run at a time. */
  readonly concurrency: number
  /** Whether the first failed task cancels the others. */
  readonly failFast: boolean
  /** Bytes of a body in an event. */
  readonly maxResultBytes: number
}

/** The work of a run of parallel tasks. */
export function runTasks(
  tasks: readonly PlannedTask[],
  options: RunTasksOptions,
  services: TaskServices,
): RunWork {
  return (run) => {
    const { clock, maxEventBytes } = services
    const boardTasks = tasks.map(({ id, name }) => ({ id, name, source: 'worker' }))
    const board = new TaskBoard(run, boardTasks, { clock, maxEventBytes })
    return new TasksOfRun(board, run.signal, options, services).run(tasks)
  }
}

/** The tasks of one run, on their way. */
class TasksOfRun {
  readonly #board: TaskBoard
  readonly #runSignal: AbortSignal
  readonly #options: RunTasksOptions
  readonly #services: TaskServices
  readonly #lane: TaskLane
  /** Ends every attempt under way. */
  readonly #stopped = new AbortController()
  readonly #retries = new Set<() => void>()
  readonly #done = Promise.withResolvers<void>()

  constructor(board: TaskBoard, runSignal: AbortSignal, options: RunTasksOptions, services: TaskServices) {
    this.#board = board
    this.#runSignal = runSignal
    this.#options = options
    this.#services = services
    this.#lane = services.scheduler.openLane(options.concurrency)
  }

  async run(tasks: readonly PlannedTask[]) {
    const onAbort = () => this.#stop(this.#runSignal.reason)
    this.#runSignal.addEventListener('abort', onAbort, { once: true })
    for (const task of tasks) this.#schedule(task, 1)
    if (this.#runSignal.aborted) onAbort()
    try {
      await this.#done.promise
    } finally {
      this.#runSignal.removeEventListener('abort', onAbort)
      this.#lane.close()
    }
    return this.#board.finish()
  }

  #schedule(task: PlannedTask, attempt: number): void {
    this.#lane.schedule(task.origin, async () => {
      try {
        if (task.kind === 'http') await this.#callHttp(task, attempt)
        else await runNamedTask(task, { board: this.#board, signal: this.#stopped.signal, ...this.#services })
      } catch (error) {
        // A failed call is on the board; what comes here is a mistake of ours, and the run says so.
        this.#done.reject(error)
      } finally {
        this.#settle(task)
      }
    })
  }

  async #callHttp(task: PlannedHttpTask, attempt: number): Promise<void> {
    const { client, maxBodyBytes } = this.#services
    this.#board.start(task.id, attempt)
    let told = false
    const onBytes = (bytes: number, total: number) => {
      // A body that comes in one piece is complete before its progress could be seen.
      if (bytes >= total && !told) return
      told = true
      // Rounded down: only what is complete is at 100, which is told however soon it comes.
      this.#board.progress(task.id, { progress: Math.min(100, Math.floor((bytes / total) * 100)), bytes })
    }
    const { maxResultBytes } = this.#options
    const { signal } = this.#stopped
    try {
      const result = await callHttp(task, { client, signal, maxBodyBytes, maxResultBytes, onBytes })
      this.#board.complete(task.id, result)
    } catch (error) {
      this.#failOrRetry(task, attempt, error)
    }
  }

  #failOrRetry(task: PlannedHttpTask, attempt: number, error: unknown): void {
    const { code, message } = classifyError(error)
    const retryable = error instanceof HttpStatusError ? error.retryable : TASK_ERROR_CODES[code].retryable
    if (!retryable || attempt > task.retries || this.#board.isFinal(task.id)) {
      this.#board.fail(task.id, message, code)
      return
    }
    const { clock, random } = this.#services
    const retryAfter = error instanceof HttpStatusError ? error.retryAfter : undefined
    const delayMs = retryDelayMs({ attempt, retryAfter, random, nowMs: clock.now() })
    this.#board.retry(task.id, code, delayMs)
    const cancel = clock.after(delayMs, () => {
      this.#retries.delete(cancel)
      this.#schedule(task, attempt + 1)
    })
    this.#retries.add(cancel)
  }

  /** After each attempt: whether that was the last, or the one that fails the run. */
  #settle(task: PlannedTask): void {
    if (this.#options.failFast && this.#board.hasFailed(task.id)) {
      this.#stop(RunAbort.cancelled(`Task ${JSON.stringify(task.id)} failed, and the run fails fast`))
    }
    if (this.#board.done) this.#done.resolve()
  }

  /** Every task gets its final state at once; what is under way is cut, and what comes of it ignored. */
  #stop(reason: RunAbort): void {
    this.#lane.close()
    for (const cancel of this.#retries) cancel()
    this.#retries.clear()
    this.#board.failRest(reason.message, reason.code)
    this.#stopped.abort(reason)
    this.#done.resolve()
  }
}
