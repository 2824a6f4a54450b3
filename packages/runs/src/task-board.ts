import type {
  Clock,
  RunEvents,
  RunEventType,
  TaskErrorCode,
  TaskFailure,
  TaskResult,
} from '@tributary/protocol'
import { aggregate, type FinishedTask } from './aggregated-result.ts'
import { type FittedResult, fitResult } from './fit-result.ts'
import { fitMessage } from './fit-text.ts'
import type { Attributes, Run, RunOutcome } from './run.ts'
import { RunAbort } from './run-error.ts'
import type { RunPast } from './run-past.ts'

/** Left of an event for what a reader of several runs puts into it: the name of its source. */
const RESERVED_BYTES = 1_024
/** The most of a message for people, as JSON. */
const MAX_MESSAGE_BYTES = 4_096
/** Progress is told at most this often, of a task and of the run. */
const PROGRESS_INTERVAL_MS = 100

/** A task as its run sees it. */
export interface BoardTask {
  readonly id: string
  readonly name: string
  /** Who runs it; the `source` of its `task_start`. */
  readonly source: string
}

export interface TaskProgress {
  readonly progress: number
  readonly step?: number
  readonly totalSteps?: number
  readonly bytes?: number
  readonly message?: string
}

interface TaskState extends BoardTask {
  /** 0 before the first. */
  attempt: number
  startedMs: number | undefined
  progressToldMs: number
  /** Of this attempt. */
  progressTold: number
  final: boolean
  failed: boolean
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
  readonly #tasks = new Map<string, TaskState>()
  readonly #finished: FinishedTask[] = []
  readonly #failures: TaskFailure[] = []
  #appending = 0
  #appendFailure: { readonly error: unknown } | undefined
  #flushed: (() => void) | undefined
  #progressToldMs = Number.NEGATIVE_INFINITY
  /** Of the results that are held for the aggregated one. */
  #heldBytes = 0
  /** For the next event. */
  #attributes: Attributes | undefined
  #finishing: Promise<RunOutcome> | undefined

  constructor(run: Run, tasks: readonly BoardTask[], options: TaskBoardOptions) {
    this.#run = run
    this.#options = options
    for (const task of tasks) {
      const started = {
        attempt: 0,
        startedMs: undefined,
        progressToldMs: Number.NEGATIVE_INFINITY,
        progressTold: 0,
        final: false,
        failed: false,
      }
      this.#tasks.set(task.id, { ...task, ...started })
    }
    if (options.past !== undefined) this.#restore(options.past)
    run.settleWith((error, code) => {
      this.failRest(error, code)
      return this.#outcome(aggregate([], this.#failures, options.maxEventBytes).errors)
    })
  }

  get total(): number {
    return this.#tasks.size
  }

  get done(): boolean {
    return this.#finished.length + this.#failures.length === this.#tasks.size
  }

  /** Whether the task has had its final event. */
  isFinal(taskId: string): boolean {
    return this.#tasks.get(taskId)?.final ?? true
  }

  /** Whether the task has failed for good. */
  hasFailed(taskId: string): boolean {
    return this.#tasks.get(taskId)?.failed ?? false
  }

  /** The attempts of a task that have begun, here or at an earlier executor. */
  attemptsOf(taskId: string): number {
    return this.#tasks.get(taskId)?.attempt ?? 0
  }

  /** Changes the run's attributes together with the next event that is appended. */
  note(attributes: Attributes): void {
    this.#attributes = { ...this.#attributes, ...attributes }
  }

  /**
   * Where to go on with a task that an earlier executor left: the attempt to begin with, which its readers are told
   * voids the one before; `undefined` where it is final, or may not be tried again and so was lost with that executor.
   */
  goOn(taskId: string, idempotent: boolean): number | undefined {
    const task = this.#open(taskId)
    if (task === undefined) return undefined
    if (task.attempt > 0 && !idempotent) {
      this.fail(
        taskId,
        'The server ended in the midst of the task, which may not be tried again',
        'worker_lost',
      )
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
    return this.#append(
      this.#emit('task_start', { taskId, taskName: task.name, attempt, source: task.source }),
    )
  }

  /** Told at most ten times a second a task; the first 100 of an attempt always. */
  progress(taskId: string, { step, totalSteps, progress, bytes, message }: TaskProgress): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const now = this.#options.clock.now()
    const percent = Math.min(100, Math.max(0, progress)) || 0
    const isDone = percent === 100 && task.progressTold < 100
    if (!isDone && Math.abs(now - task.progressToldMs) < PROGRESS_INTERVAL_MS) return
    task.progressToldMs = now
    task.progressTold = percent
    this.#append(
      this.#emit('task_progress', {
        taskId,
        ...(step === undefined ? {} : { step }),
        ...(totalSteps === undefined ? {} : { totalSteps }),
        progress: percent,
        ...(bytes === undefined ? {} : { bytes }),
        ...(message === undefined ? {} : { message: this.#fitMessage(message) }),
        ...this.#tag(task),
      }),
    )
  }

  /** Another attempt comes, after `delayMs`. */
  retry(taskId: string, reason: TaskErrorCode, delayMs: number): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    this.#append(
      this.#emit('task_retry', {
        taskId,
        attempt: task.attempt + 1,
        reason,
        delayMs,
        ...this.#tag(task),
      }),
    )
  }

  /** A result that would make its event too large is cut. One that is not JSON fails the task. */
  complete(taskId: string, whole: TaskResult): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const { name: taskName, attempt } = task
    const now = this.#options.clock.now()
    const durationMs = Math.max(0, now - (task.startedMs ?? now))
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
    task.final = true
    const { result, json } = fitted
    const finished: FinishedTask = {
      taskId,
      status: result.status,
      json: this.#hold(json),
      eventId: undefined,
    }
    this.#finished.push(finished)
    this.#append(
      // The result is written out once: its JSON is put into that of the event.
      this.#emitJson('task_complete', `${said.slice(0, -1)},"result":${json}}`).then((entry) => {
        finished.eventId = entry.event.id
      }),
    )
    this.#tellRun()
  }

  /** A message that is too long is cut. */
  fail(taskId: string, message: string, code: TaskErrorCode): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const { name: taskName, attempt } = task
    const error = this.#fitMessage(message)
    task.final = true
    task.failed = true
    this.#failures.push({ taskId, error, code })
    this.#append(this.#emit('task_error', { taskId, taskName, error, code, attempt, ...this.#tag(task) }))
    this.#tellRun()
  }

  /** Gives every task that has none a final state: for a run that ends before its time. */
  failRest(error: string, code: TaskErrorCode): void {
    for (const task of this.#tasks.values()) if (!task.final) this.fail(task.id, error, code)
  }

  /** The same for the tasks that one side runs. */
  failRestOf(source: string, error: string, code: TaskErrorCode): void {
    for (const task of this.#tasks.values()) {
      if (!task.final && task.source === source) this.fail(task.id, error, code)
    }
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
    await this.#flush()
    const { json, errors } = aggregate(this.#finished, this.#failures, this.#options.maxEventBytes)
    // Where an earlier executor came as far as that, only the end was missing.
    if (this.#options.past?.aggregated !== true) await this.#run.emitJson('aggregated_result', json)
    return this.#outcome(errors)
  }

  #outcome(errors: readonly TaskFailure[]): RunOutcome {
    const { length: successCount } = this.#finished
    const { length: errorCount } = this.#failures
    return { totalTasks: this.total, successCount, errorCount, errors }
  }

  /** Keeps the JSON of a result as long as it may find room in the aggregated one; after that the log alone does. */
  #hold(json: string): string | undefined {
    const bytes = Buffer.byteLength(json)
    if (this.#heldBytes + bytes > this.#options.maxEventBytes) return undefined
    this.#heldBytes += bytes
    return json
  }

  #fitMessage(message: string): string {
    return fitMessage(message, Math.min(MAX_MESSAGE_BYTES, this.#options.maxEventBytes / 4))
  }

  #open(taskId: string): TaskState | undefined {
    const task = this.#tasks.get(taskId)
    return task === undefined || task.final ? undefined : task
  }

  #tag({ source }: TaskState): { source?: string } {
    return this.#options.tagSource ? { source } : {}
  }

  #tellRun(): void {
    const successCount = this.#finished.length
    const errorCount = this.#failures.length
    this.#run.count({ successCount, errorCount })
    const step = successCount + errorCount
    const now = this.#options.clock.now()
    if (step < this.total && Math.abs(now - this.#progressToldMs) < PROGRESS_INTERVAL_MS) return
    this.#progressToldMs = now
    const progress = Math.round((step / this.total) * 100)
    this.#append(this.#emit('progress', { step, totalSteps: this.total, progress }))
  }

  #restore({ tasks }: RunPast): void {
    for (const [taskId, { attempt, startedMs, final }] of tasks) {
      const task = this.#tasks.get(taskId)
      if (task === undefined) continue
      task.attempt = attempt
      task.startedMs = startedMs
      if (final === undefined) continue
      task.final = true
      if (final.kind === 'complete') {
        const { status, json, eventId } = final
        this.#finished.push({ taskId, status, json: this.#hold(json), eventId })
      } else {
        task.failed = true
        this.#failures.push({ taskId, error: final.error, code: final.code })
      }
    }
    this.#run.count({ successCount: this.#finished.length, errorCount: this.#failures.length })
  }

  #emit<T extends Exclude<RunEventType, 'complete'>>(type: T, data: RunEvents[T]) {
    return this.#run.emit(type, data, this.#takeAttributes())
  }

  #emitJson(type: Exclude<RunEventType, 'complete'>, json: string) {
    return this.#run.emitJson(type, json, this.#takeAttributes())
  }

  #takeAttributes(): Attributes | undefined {
    const attributes = this.#attributes
    this.#attributes = undefined
    return attributes
  }

  /** Appends are in order by themselves; the end waits for them all, where a failure comes out. */
  #append<T>(appending: Promise<T>): Promise<T> {
    this.#appending += 1
    appending.then(this.#onAppended, this.#onFailed)
    return appending
  }

  readonly #onAppended = (): void => {
    this.#appending -= 1
    if (this.#appending === 0) this.#flushed?.()
  }

  readonly #onFailed = (error: unknown): void => {
    this.#appendFailure ??= { error }
    this.#onAppended()
  }

  async #flush(): Promise<void> {
    if (this.#appending > 0) await new Promise<void>((resolve) => (this.#flushed = resolve))
    if (this.#appendFailure !== undefined) throw this.#appendFailure.error
  }
}
