import type { Clock, TaskErrorCode, TaskFailure, TaskResult } from '@tributary/protocol'
import { aggregate, type FinishedTask } from './aggregated-result.ts'
import { fitResult } from './fit-result.ts'
import type { Run, RunOutcome } from './run.ts'

/** What a `task_complete` holds beside its result. */
const EVENT_OVERHEAD_BYTES = 2_048
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
  attempt: number
  startedMs: number
  progressToldMs: number
  final: boolean
  failed: boolean
}

export interface TaskBoardOptions {
  readonly clock: Clock
  /** An event may not be larger. */
  readonly maxEventBytes: number
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

  constructor(run: Run, tasks: readonly BoardTask[], options: TaskBoardOptions) {
    this.#run = run
    this.#options = options
    for (const task of tasks) {
      const started = {
        attempt: 0,
        startedMs: 0,
        progressToldMs: Number.NEGATIVE_INFINITY,
        final: false,
        failed: false,
      }
      this.#tasks.set(task.id, { ...task, ...started })
    }
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

  start(taskId: string, attempt: number): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    task.attempt = attempt
    if (task.startedMs === 0) task.startedMs = this.#options.clock.now()
    task.progressToldMs = Number.NEGATIVE_INFINITY
    this.#append(this.#run.emit('task_start', { taskId, taskName: task.name, attempt, source: task.source }))
  }

  /** Told at most ten times a second a task, and always at 100. */
  progress(taskId: string, progress: TaskProgress): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    const now = this.#options.clock.now()
    if (progress.progress < 100 && Math.abs(now - task.progressToldMs) < PROGRESS_INTERVAL_MS) return
    task.progressToldMs = now
    this.#append(this.#run.emit('task_progress', { ...progress, taskId, ...this.#tag(task) }))
  }

  /** Another attempt comes, after `delayMs`. */
  retry(taskId: string, reason: TaskErrorCode, delayMs: number): void {
    const task = this.#open(taskId)
    if (task === undefined) return
    this.#append(
      this.#run.emit('task_retry', {
        taskId,
        attempt: task.attempt + 1,
        reason,
        delayMs,
        ...this.#tag(task),
      }),
    )
  }

  /** A result that would make its event too large is cut. */
  complete(taskId: string, whole: TaskResult): void {
    const task = this.#close(taskId)
    if (task === undefined) return
    const { result, json } = fitResult(whole, this.#options.maxEventBytes - EVENT_OVERHEAD_BYTES)
    const durationMs = Math.max(0, this.#options.clock.now() - task.startedMs)
    const { name: taskName, attempt } = task
    const said = { taskId, taskName, durationMs, attempt, ...this.#tag(task) }
    const finished: FinishedTask = { taskId, status: result.status, json, eventId: undefined }
    this.#finished.push(finished)
    this.#append(
      this.#run.emitJson('task_complete', withResult(said, json)).then((entry) => {
        finished.eventId = entry.event.id
      }),
    )
    this.#tellRun()
  }

  fail(taskId: string, error: string, code: TaskErrorCode): void {
    const task = this.#close(taskId)
    if (task === undefined) return
    const { name: taskName, attempt } = task
    task.failed = true
    this.#failures.push({ taskId, error, code })
    this.#append(this.#run.emit('task_error', { taskId, taskName, error, code, attempt, ...this.#tag(task) }))
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

  /** Appends the `aggregated_result`, and answers what the run came to. */
  async finish(): Promise<RunOutcome> {
    await this.#flush()
    const { maxEventBytes } = this.#options
    const { json, errors } = aggregate(this.#finished, this.#failures, maxEventBytes)
    await this.#run.emitJson('aggregated_result', json)
    return {
      totalTasks: this.total,
      successCount: this.#finished.length,
      errorCount: this.#failures.length,
      errors,
    }
  }

  #open(taskId: string): TaskState | undefined {
    const task = this.#tasks.get(taskId)
    return task === undefined || task.final ? undefined : task
  }

  #close(taskId: string): TaskState | undefined {
    const task = this.#open(taskId)
    if (task !== undefined) task.final = true
    return task
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
    this.#append(this.#run.emit('progress', { step, totalSteps: this.total, progress }))
  }

  /** Appends are in order by themselves; the end waits for them all, where a failure comes out. */
  #append(appending: Promise<unknown>): void {
    this.#appending += 1
    appending.then(this.#onAppended, this.#onFailed)
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

/** The JSON of what is said of a task, with the JSON of its result in it: a result is written out once. */
function withResult(said: object, resultJson: string): string {
  return `${JSON.stringify(said).slice(0, -1)},"result":${resultJson}}`
}
