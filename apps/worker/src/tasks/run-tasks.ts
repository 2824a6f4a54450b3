import { classifyError, type OutboundClient, retryDelayMs } from '@tributary/outbound'
import { type Clock, TASK_ERROR_CODES } from '@tributary/protocol'
import {
  type HandlerRunner,
  type Run,
  RunAbort,
  type RunOutcome,
  type RunWork,
  readRunPast,
  runNamedTask,
  TaskBoard,
  type TaskLog,
} from '@tributary/runs'
import { callHttp, HttpStatusError } from './http-task.ts'
import type { PlannedHttpTask, PlannedTask, RefusedTask } from './task-plan.ts'
import type { TaskLane, TaskScheduler } from './task-scheduler.ts'
import type { TaskSecrets } from './task-secrets.ts'

/** What running tasks takes, the same for all runs of a worker. */
export interface TaskServices {
  readonly client: OutboundClient
  /** What tasks may name. */
  readonly secrets: TaskSecrets
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

const WITHHELD =
  'The server ended before the task did, whose credentials were kept in memory alone; start it again'

/** The work of a run of parallel tasks. Where an earlier process began it, it goes on with what is not final. */
export function runTasks(
  tasks: readonly (PlannedTask | RefusedTask)[],
  options: RunTasksOptions,
  services: TaskServices,
): RunWork {
  return async (run) => {
    const { clock, maxEventBytes } = services
    const past = run.resumed ? await readRunPast(run.log, { clock, end: run.suspended }) : undefined
    const boardTasks = tasks.map(({ id, name }) => ({ id, name, source: 'worker' }))
    const board = new TaskBoard(run, boardTasks, { clock, maxEventBytes, past })
    return new TasksOfRun(run, board, options, services).run(tasks)
  }
}

/** The tasks of one run, on their way. */
class TasksOfRun {
  readonly #run: Run
  readonly #board: TaskBoard
  readonly #options: RunTasksOptions
  readonly #services: TaskServices
  readonly #lane: TaskLane
  /** Ends every attempt under way. */
  readonly #stopped = new AbortController()
  /** No further attempt begins from here on. */
  readonly #halted = new AbortController()
  readonly #retries = new Set<() => void>()
  readonly #over = Promise.withResolvers<void>()
  #active = 0

  constructor(run: Run, board: TaskBoard, options: RunTasksOptions, services: TaskServices) {
    this.#run = run
    this.#board = board
    this.#options = options
    this.#services = services
    this.#lane = services.scheduler.openLane(options.concurrency, run.userId)
  }

  /** `undefined` where the run was drained or suspended before all tasks were done. */
  async run(tasks: readonly (PlannedTask | RefusedTask)[]): Promise<RunOutcome | undefined> {
    const { signal, draining } = this.#run
    const onAbort = () => this.#stop(signal.reason)
    const onDrain = () => this.#halt()
    signal.addEventListener('abort', onAbort, { once: true })
    draining.addEventListener('abort', onDrain, { once: true })
    try {
      if (signal.aborted) onAbort()
      else this.#begin(tasks)
      if (draining.aborted) onDrain()
      await this.#over.promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      draining.removeEventListener('abort', onDrain)
      this.#lane.close()
    }
    return this.#board.done ? this.#board.finish() : undefined
  }

  #begin(tasks: readonly (PlannedTask | RefusedTask)[]): void {
    const next: [task: PlannedTask, attempt: number][] = []
    for (const task of tasks) {
      if (task.kind === 'refused') {
        this.#board.fail(task.id, task.message, 'task_failed')
      } else if (task.kind === 'http' && task.withheld) {
        this.#board.fail(task.id, WITHHELD, 'worker_lost')
      } else {
        const attempt = this.#board.goOn(task.id, task.idempotent)
        if (attempt !== undefined) next.push([task, attempt])
      }
    }
    // What failed at an earlier executor, or with it, fails the run now.
    for (const { id } of tasks) this.#failFast(id)
    if (this.#halted.signal.aborted) return
    if (this.#board.done) this.#over.resolve()
    for (const [task, attempt] of next) this.#schedule(task, attempt)
  }

  #schedule(task: PlannedTask, attempt: number): void {
    this.#lane.schedule(task.origin, async () => {
      this.#active += 1
      try {
        // While nothing can be stored, nothing more is done that would have to be.
        if (this.#run.stall !== undefined) await this.#untilStored(this.#run.stall)
        if (this.#halted.signal.aborted) return
        if (task.kind === 'http') await this.#callHttp(task, attempt)
        else await this.#callHandler(task, attempt)
      } catch (error) {
        // A failed call is on the board; what comes here is a mistake of ours, and the run says so.
        this.#over.reject(error)
      } finally {
        this.#active -= 1
        this.#settle(task)
      }
    })
  }

  /** Waits for the store, or until that is of no use any more. */
  async #untilStored(stall: Promise<void>): Promise<void> {
    const { signal } = this.#halted
    const halted = Promise.withResolvers<void>()
    const onHalt = () => halted.resolve()
    signal.addEventListener('abort', onHalt, { once: true })
    if (!signal.aborted) await Promise.race([stall, halted.promise])
    signal.removeEventListener('abort', onHalt)
  }

  #callHandler(task: Extract<PlannedTask, { kind: 'named' }>, attempt: number): Promise<void> {
    const { handlers, clock, log } = this.#services
    const { signal } = this.#stopped
    return runNamedTask(task, { board: this.#board, attempt, signal, handlers, clock, log })
  }

  async #callHttp(task: PlannedHttpTask, attempt: number): Promise<void> {
    const { client, secrets, maxBodyBytes } = this.#services
    const { signal } = this.#stopped
    const started = this.#board.start(task.id, attempt)
    // What may not be done twice is not begun before it is stored that it was.
    if (!task.idempotent) await started
    if (signal.aborted) return
    let told = false
    const onBytes = (bytes: number, total: number) => {
      // A body that comes in one piece is complete before its progress could be seen.
      if (bytes >= total && !told) return
      told = true
      // Rounded down: only what is complete is at 100, which is told however soon it comes.
      this.#board.progress(task.id, { progress: Math.min(100, Math.floor((bytes / total) * 100)), bytes })
    }
    const { maxResultBytes } = this.#options
    try {
      const result = await callHttp(task, { client, secrets, signal, maxBodyBytes, maxResultBytes, onBytes })
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
    // Whoever goes on with the run tells of the next attempt.
    if (this.#halted.signal.aborted) return
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
    this.#failFast(task.id)
    if (this.#board.done || (this.#halted.signal.aborted && this.#active === 0)) this.#over.resolve()
  }

  #failFast(taskId: string): void {
    if (!this.#options.failFast || !this.#board.hasFailed(taskId) || this.#stopped.signal.aborted) return
    this.#stop(RunAbort.cancelled(`Task ${JSON.stringify(taskId)} failed, and the run fails fast`))
  }

  /** Begins nothing more, and lets what is under way finish. */
  #halt(): void {
    this.#halted.abort()
    this.#lane.close()
    for (const cancel of this.#retries) cancel()
    this.#retries.clear()
    if (this.#active === 0) this.#over.resolve()
  }

  /**
   * What is under way is cut, and what comes of it ignored. Every task gets its final state at once, unless it is
   * for a later process to go on with.
   */
  #stop(reason: unknown): void {
    this.#halt()
    if (reason instanceof RunAbort) this.#board.failRest(reason.message, reason.code)
    this.#stopped.abort(reason)
    this.#over.resolve()
  }
}
