import { type Clock, faultOf, type TaskErrorCode, type TaskResult } from '@tributary/protocol'
import { aggregate } from './aggregated-result.ts'
import { BoardEvents } from './board-events.ts'
import { type FittedResult, fitResult } from './fit-result.ts'
import { fitMessage } from './fit-text.ts'
import type { Run } from './run.ts'
import type { Attributes } from './run-attributes.ts'
import type { RunOutcome } from './run-end.ts'
import { RunAbort } from './run-error.ts'
import type { RunPast } from './run-past.ts'
import { type BoardTask, TaskLedger, type TaskState } from './task-ledger.ts'

/** Left of an event for what a reader of several runs puts into it: the name of its source. */
const RESERVED_BYTES = 1_024
/** The most of a message for people, as JSON. */
const MAX_MESSAGE_BYTES = 4_096
/**
 * How often progress is told at most, of a task and of the run, by the quarter of its log that a run has filled:
 * what must not be lost finds room to the end.
 */
const PROGRESS_INTERVALS_MS = [100, 1_000, 10_000]

export interface TaskProgress {
  readonly progress: number
  readonly step?: number
  readonly totalSteps?: number
  readonly bytes?: number
  readonly message?: string
}

export interface TaskBoardOptions {
  readonly clock: Clock
  /** An event may not be larger. */
  readonly maxEventBytes: number
  /** What an earlier executor of the run left. */
  readonly past?: RunPast | undefined
  /** Whether every event of a task says who runs it, not just its start. Default false. */
  readonly tagSource?: boolean
}

/**
 * Where the tasks of a run stand. It appends their events, and holds that every task has exactly one final
 * event: whatever is reported of a task after that is ignored.
 */
export class TaskBoard {
  readonly #run: Run
  readonly #options: TaskBoardOptions
  readonly #events: BoardEvents
  readonly #ledger: TaskLedger
  #progressToldMs = Number.NEGATIVE_INFINITY
  #finishing: Promise<RunOutcome> | undefined

  constructor(run: Run, tasks: readonly BoardTask[], options: TaskBoardOptions) {
    this.#run = run
    this.#options = options
    this.#events = new BoardEvents(run)
    this.#ledger = new TaskLedger(tasks, options.maxEventBytes, options.past)
    if (options.past !== undefined) run.count(this.#ledger.counts)
    run.settleWith((error, code) => {
      this.failRest(error, code)
      return this.#outcome(aggregate([], this.#ledger.failures, options.maxEventBytes).errors)
    })
  }

  get total(): number {
    return this.#ledger.total
  }

  get done(): boolean {
    return this.#ledger.done
  }

  /** Whether the task has had its final event. */
  isFinal(taskId: string): boolean {
    return this.#ledger.find(taskId)?.final ?? true
  }

  /** Whether the task has failed for good. */
  hasFailed(taskId: string): boolean {
    return this.#ledger.find(taskId)?.failed ?? false
  }

  /** The attempts of a task that have begun, here or at an earlier executor. */
  attemptsOf(taskId: string): number {
    return this.#ledger.find(taskId)?.attempt ?? 0
  }

  /** Changes the run's attributes together with the next event that is appended. */
  note(attributes: Attributes): void {
    this.#events.note(attributes)
  }

  /**
   * Where to go on with a task that an earlier executor may have left: the attempt to begin with, which its readers
   * are told voids the one before; `undefined` where it is final, or may not be tried again and so was lost with
   * that executor.
   */
  goOn(taskId: string, idempotent: boolean): number | undefined {
    const task = this.#open(taskId)
    if (task === undefined) return undefined
    if (!idempotent && (task.attempt > 0 || task.doubtful)) {
      const message = 'The server ended in the midst of the task, which may not be tried again'
      this.fail(taskId, message, 'worker_lost')
      return undefined
    }
    if (task.attempt > 0) this.retry(taskId, 'worker_lost', 0)
    return task.attempt + 1
  }

  /** Resolves once the start is stored: before that, nothing may be done that must not be done again. */
  start(taskId: string, attempt: number): Promise<unknown> {
    const task = this.#open(taskId)
    if (task === undefined) return Promise.resolve()
    task.attempt = attempt
    task.startedMs ??= this.#options.clock.now()
    task.progressToldMs = Number.NEGATIVE_INFINITY
    task.progressTold = 0
    const { name: taskName, source } = task
    return this.#events.append('task_start', { taskId, taskName, attempt, source })
  }

  /** Told at most ten times a second a task, and less where the run's log fills; the first 100 of an attempt always. */
  progress(taskId: string, { step, totalSteps, progress, bytes, message }: TaskProgress): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const now = this.#options.clock.now()
    const percent = Math.min(100, Math.max(0, progress)) || 0
    const isDone = percent === 100 && task.progressTold < 100
    if (!isDone && Math.abs(now - task.progressToldMs) < this.#progressIntervalMs()) return
    task.progressToldMs = now
    task.progressTold = percent
    this.#events.append('task_progress', {
      taskId,
      ...(step === undefined ? {} : { step }),
      ...(totalSteps === undefined ? {} : { totalSteps }),
      progress: percent,
      ...(bytes === undefined ? {} : { bytes }),
      ...(message === undefined ? {} : { message: this.#fitMessage(message) }),
      ...this.#tag(task),
    })
  }

  /** Another attempt comes, after `delayMs`. */
  retry(taskId: string, reason: TaskErrorCode, delayMs: number): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const attempt = task.attempt + 1
    this.#run.meter.taskRetried(reason)
    this.#events.append('task_retry', { taskId, attempt, reason, delayMs, ...this.#tag(task) })
  }

  /** A result that would make its event too large is cut. One that is not JSON fails the task. */
  complete(taskId: string, whole: TaskResult): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const { name: taskName, attempt } = task
    const durationMs = this.#durationOf(task) ?? 0
    const said = JSON.stringify({ taskId, taskName, durationMs, attempt, ...this.#tag(task) })
    const maxBytes = this.#options.maxEventBytes - RESERVED_BYTES - Buffer.byteLength(said)
    let fitted: FittedResult
    try {
      fitted = fitResult(whole, maxBytes)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.fail(taskId, `The result cannot be written as JSON: ${why}`, 'task_failed')
      return
    }
    const { result, json } = fitted
    const finished = this.#ledger.succeed(task, result.status, json)
    this.#run.meter.taskEnded(undefined, durationMs)
    // The result is written out once: its JSON is put into that of the event.
    this.#events.appendJson('task_complete', `${said.slice(0, -1)},"result":${json}}`).then(
      (entry) => {
        finished.eventId = entry.event.id
      },
      () => undefined,
    )
    this.#tellRun()
  }

  /** A message that is too long is cut. */
  fail(taskId: string, message: string, code: TaskErrorCode): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const { name: taskName, attempt } = task
    const error = this.#fitMessage(message)
    this.#ledger.fail(task, error, code)
    this.#run.meter.taskEnded(code, this.#durationOf(task))
    const told = { taskId, taskName, error, code, ...faultOf(code), attempt, ...this.#tag(task) }
    this.#events.append('task_error', told)
    this.#tellRun()
  }

  /** Gives every task that has none a final state: for a run that ends before its time. */
  failRest(error: string, code: TaskErrorCode): void {
    for (const { id } of this.#ledger.open) this.fail(id, error, code)
  }

  /** The same for the tasks that one side runs. */
  failRestOf(side: string, error: string, code: TaskErrorCode): void {
    for (const { id, source } of this.#ledger.open) if (source === side) this.fail(id, error, code)
  }

  /**
   * Appends the `aggregated_result`, once, and answers what the run came to. Tasks that have no final state by
   * then get one.
   */
  finish(): Promise<RunOutcome> {
    this.#finishing ??= this.#finish()
    return this.#finishing
  }

  async #finish(): Promise<RunOutcome> {
    const { reason } = this.#run.signal
    if (reason instanceof RunAbort) this.failRest(reason.message, reason.code)
    else this.failRest('The run ended without this task', 'task_failed')
    await this.#events.flush()
    const { finished, failures } = this.#ledger
    const { json, errors } = aggregate(finished, failures, this.#options.maxEventBytes)
    // Where an earlier executor came as far as that, only the end was missing.
    if (this.#options.past?.aggregated !== true) await this.#events.appendJson('aggregated_result', json)
    return this.#outcome(errors)
  }

  #outcome(errors: RunOutcome['errors']): RunOutcome {
    return { totalTasks: this.total, ...this.#ledger.counts, errors }
  }

  #fitMessage(message: string): string {
    return fitMessage(message, Math.min(MAX_MESSAGE_BYTES, this.#options.maxEventBytes / 4))
  }

  /** The task while anything can be said of it: it is not final, and the run is this process's to work at. */
  #open(taskId: string): TaskState | undefined {
    const task = this.#ledger.find(taskId)
    return task === undefined || task.final || this.#run.isSuspended ? undefined : task
  }

  /** Of all attempts; `undefined` where none began. */
  #durationOf({ startedMs }: TaskState): number | undefined {
    return startedMs === undefined ? undefined : Math.max(0, this.#options.clock.now() - startedMs)
  }

  #tag({ source }: TaskState): { source?: string } {
    return this.#options.tagSource ? { source } : {}
  }

  #progressIntervalMs(): number {
    return PROGRESS_INTERVALS_MS[Math.floor(this.#run.logFill * 4)] ?? Number.POSITIVE_INFINITY
  }

  #tellRun(): void {
    const { counts } = this.#ledger
    this.#run.count(counts)
    const step = counts.successCount + counts.errorCount
    const now = this.#options.clock.now()
    if (step < this.total && Math.abs(now - this.#progressToldMs) < this.#progressIntervalMs()) return
    this.#progressToldMs = now
    const progress = Math.round((step / this.total) * 100)
    this.#events.append('progress', { step, totalSteps: this.total, progress })
  }
}
