import type { TaskErrorCode, TaskFailure } from '@tributary/protocol'
import type { FinishedTask } from './aggregated-result.ts'
import type { RunPast } from './run-past.ts'

/** A task as its run sees it. */
export interface BoardTask {
  readonly id: string
  readonly name: string
  /** Who runs it; the `source` of its `task_start`. */
  readonly source: string
}

/** Where a task stands. */
export interface TaskState extends BoardTask {
  /** The last that began; 0 before the first. */
  attempt: number
  /** When the first began, in ms since 1970. */
  startedMs: number | undefined
  /** Whether it may have begun without a trace being left of that. */
  doubtful: boolean
  progressToldMs: number
  /** Of this attempt. */
  progressTold: number
  final: boolean
  failed: boolean
}

/** What has become of the tasks of a run: each is open until it has succeeded or failed, once. */
export class TaskLedger {
  readonly finished: FinishedTask[] = []
  readonly failures: TaskFailure[] = []
  readonly #tasks = new Map<string, TaskState>()
  readonly #maxHeldBytes: number
  /** Of the results that are held for the aggregated one. */
  #heldBytes = 0

  /** @param past what an earlier executor of the run left. */
  constructor(tasks: readonly BoardTask[], maxHeldBytes: number, past?: RunPast) {
    this.#maxHeldBytes = maxHeldBytes
    for (const { id, name, source } of tasks) {
      this.#tasks.set(id, {
        id,
        name,
        source,
        attempt: 0,
        startedMs: undefined,
        doubtful: past?.trimmed === true,
        progressToldMs: Number.NEGATIVE_INFINITY,
        progressTold: 0,
        final: false,
        failed: false,
      })
    }
    if (past !== undefined) this.#restore(past)
  }

  get total(): number {
    return this.#tasks.size
  }

  get counts(): { successCount: number; errorCount: number } {
    return { successCount: this.finished.length, errorCount: this.failures.length }
  }

  get done(): boolean {
    return this.finished.length + this.failures.length === this.#tasks.size
  }

  find(taskId: string): TaskState | undefined {
    return this.#tasks.get(taskId)
  }

  /** Those that have had no final event. */
  get open(): TaskState[] {
    return [...this.#tasks.values()].filter(({ final }) => !final)
  }

  succeed(task: TaskState, status: number, json: string): FinishedTask {
    task.final = true
    const finished: FinishedTask = { taskId: task.id, status, json: this.#hold(json), eventId: undefined }
    this.finished.push(finished)
    return finished
  }

  fail(task: TaskState, error: string, code: TaskErrorCode): void {
    task.final = true
    task.failed = true
    this.failures.push({ taskId: task.id, error, code })
  }

  #restore({ tasks }: RunPast): void {
    for (const [taskId, { attempt, startedMs, final }] of tasks) {
      const task = this.#tasks.get(taskId)
      if (task === undefined) continue
      task.attempt = attempt
      task.startedMs = startedMs
      task.doubtful = false
      if (final?.kind === 'complete') {
        const { status, json = '', eventId } = final
        this.succeed(task, status, json).eventId = eventId
      } else if (final !== undefined) {
        this.fail(task, final.error, final.code)
      }
    }
  }

  /** Keeps the JSON of a result as long as it may find room in the aggregated one; after that the log alone does. */
  #hold(json: string): string | undefined {
    const bytes = Buffer.byteLength(json)
    if (bytes === 0 || this.#heldBytes + bytes > this.#maxHeldBytes) return undefined
    this.#heldBytes += bytes
    return json
  }
}
