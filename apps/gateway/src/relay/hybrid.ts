import {
  type Clock,
  COMPLETE,
  faultOf,
  isTaskErrorCode,
  type RunEvents,
  type RunEventType,
} from '@tributary/protocol'
import {
  type HandlerRunner,
  type PlannedNamedTask,
  type Run,
  RunAbort,
  type RunOutcome,
  readRunPast,
  runNamedTask,
  TaskBoard,
  type TaskLog,
} from '@tributary/runs'
import pLimit from 'p-limit'
import type { AwayNotes } from './run-readers.ts'
import { SourceError } from './source.ts'
import type { RecordedSource } from './source-record.ts'
import { isSuspended, stopSignal } from './source-run.ts'

/** The `source` of what each side does. */
const LOCAL = 'gateway'
const REMOTE = 'worker'

export interface HybridPlan {
  readonly local: readonly PlannedNamedTask[]
  /** The tasks that the worker runs, as their readers know them. */
  readonly remote: readonly { readonly id: string; readonly name: string }[]
  /** Local tasks at a time. */
  readonly concurrency: number
  readonly failFast: boolean
}

export interface HybridServices {
  readonly handlers: HandlerRunner
  readonly clock: Clock
  readonly log: TaskLog
  readonly maxEventBytes: number
  /** Who is told while the worker is away. */
  readonly readers: AwayNotes
}

/**
 * Does the work of a run whose tasks are partly run here, partly by a worker: one board holds them all. Answers
 * `undefined` where it was drained before all was done.
 */
export async function runHybrid(
  run: Run,
  plan: HybridPlan,
  remote: RecordedSource | undefined,
  services: HybridServices,
): Promise<RunOutcome | undefined> {
  const { clock, maxEventBytes } = services
  const past = run.resumed ? await readRunPast(run.log, { clock, end: run.suspended }) : undefined
  const tasks = [
    ...plan.local.map(({ id, name }) => ({ id, name, source: LOCAL })),
    ...plan.remote.map(({ id, name }) => ({ id, name, source: REMOTE })),
  ]
  const board = new TaskBoard(run, tasks, { clock, maxEventBytes, past, tagSource: true })
  const hybrid = new HybridRun(run, plan, board, services)
  try {
    await Promise.all([hybrid.runLocal(), remote === undefined ? undefined : hybrid.readRemote(remote)])
  } finally {
    hybrid.release()
  }
  if (isSuspended(run) && (run.signal.aborted || !board.done)) return undefined
  return board.finish()
}

class HybridRun {
  readonly #run: Run
  readonly #plan: HybridPlan
  readonly #board: TaskBoard
  readonly #services: HybridServices
  /** Ends what is under way on both sides. */
  readonly #stop = new AbortController()

  constructor(run: Run, plan: HybridPlan, board: TaskBoard, services: HybridServices) {
    this.#run = run
    this.#plan = plan
    this.#board = board
    this.#services = services
    run.signal.addEventListener('abort', this.#onAbort, { once: true })
    if (run.signal.aborted) this.#onAbort()
    // One that failed before a restart counts, too.
    for (const { id } of [...plan.local, ...plan.remote]) this.#settled(id)
  }

  release(): void {
    this.#run.signal.removeEventListener('abort', this.#onAbort)
  }

  async runLocal(): Promise<void> {
    const { local, concurrency } = this.#plan
    const signal = this.#stop.signal
    await pLimit(concurrency).map(local, async (task) => {
      if (signal.aborted || this.#run.draining.aborted || this.#board.isFinal(task.id)) return
      const attempt = this.#board.goOn(task.id, task.idempotent)
      if (attempt !== undefined) {
        await runNamedTask(task, { board: this.#board, signal, attempt, ...this.#services })
      }
      this.#settled(task.id)
    })
  }

  /** Notes on the board what the worker's run says of its tasks. Its own summary is swallowed: ours counts all. */
  async readRemote({ source, record }: RecordedSource): Promise<void> {
    const board = this.#board
    const lost = record.end?.failure
    if (lost !== undefined) return board.failRestOf(REMOTE, lost.error, 'worker_lost')
    if (this.#plan.remote.every(({ id }) => board.isFinal(id))) return
    const onAway = (since: number | undefined) => this.#services.readers.note(REMOTE, since)
    const stop = stopSignal(this.#run, source)
    const signal = AbortSignal.any([stop.signal, this.#stop.signal])
    try {
      for await (const events of source.read({ signal, progress: record, onAway })) {
        for (const { type, data, cursor } of events) {
          if (type === COMPLETE) break
          // Goes with the next event: what is swallowed until then would be swallowed again.
          board.note(record.advance(cursor) ?? {})
          this.#settled(note(board, type, data))
        }
      }
      board.failRestOf(REMOTE, 'The worker ended without a word of this task', 'worker_lost')
    } catch (error) {
      if (this.#stop.signal.reason instanceof RunAbort) {
        // Not awaited: a cancel is told at once, however long the other side takes over it.
        void source.cancel().catch(() => undefined)
        return
      }
      if (isSuspended(this.#run)) return
      const failure = SourceError.from(error)
      const code = isTaskErrorCode(failure.code) ? failure.code : 'worker_lost'
      const end = { failure: { taskId: REMOTE, error: failure.message, code } }
      await this.#run.emit(
        'source_error',
        { source: REMOTE, error: failure.message, code, ...faultOf(code) },
        record.ended(end),
      )
      board.failRestOf(REMOTE, failure.message, 'worker_lost')
    } finally {
      stop.release()
    }
  }

  readonly #onAbort = (): void => {
    const { reason } = this.#run.signal
    if (reason instanceof RunAbort) this.#end(reason)
    else this.#stop.abort(reason)
  }

  #end(reason: RunAbort): void {
    this.#board.failRest(reason.message, reason.code)
    this.#stop.abort(reason)
  }

  #settled(taskId: string): void {
    if (!this.#plan.failFast || !this.#board.hasFailed(taskId)) return
    this.#end(RunAbort.cancelled(`Task ${JSON.stringify(taskId)} failed, and the run fails fast`))
  }
}

/** Answers the task that the event was of; empty where it was of none. */
function note(board: TaskBoard, type: string, data: unknown): string {
  if (is('task_start', type, data)) board.start(data.taskId, data.attempt)
  else if (is('task_progress', type, data)) board.progress(data.taskId, data)
  else if (is('task_retry', type, data)) board.retry(data.taskId, data.reason, data.delayMs)
  else if (is('task_complete', type, data)) board.complete(data.taskId, data.result)
  else if (is('task_error', type, data)) board.fail(data.taskId, data.error, data.code)
  else return ''
  return data.taskId
}

/** The worker is one of ours and speaks the protocol; that it names a task is what has to hold. */
function is<T extends RunEventType>(
  wanted: T,
  type: string,
  data: unknown,
): data is RunEvents[T] & { taskId: string } {
  return (
    type === wanted &&
    typeof data === 'object' &&
    data !== null &&
    'taskId' in data &&
    typeof data.taskId === 'string'
  )
}
