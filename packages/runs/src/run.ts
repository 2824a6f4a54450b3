import type { EventLog, LogEntry } from '@tributary/eventlog'
import {
  COMPLETE,
  type CompleteData,
  type FinalRunStatus,
  type NewEvent,
  type RunEvents,
  type RunEventType,
  type RunKind,
  type RunStatus,
  type RunView,
  type TaskErrorCode,
  type TaskFailure,
} from '@tributary/protocol'
import { RunAbort } from './run-error.ts'

/** What the work of a run came to. The run's state follows from it, unless the run was told to stop. */
export interface RunOutcome {
  readonly totalTasks: number
  readonly successCount: number
  readonly errorCount: number
  /** As many as there is room for; the counts are whole. */
  readonly errors: readonly TaskFailure[]
}

/** Gives each task that has none its final state, and answers what the run came to. */
export type SettleTasks = (error: string, code: TaskErrorCode) => RunOutcome

export interface RunOptions {
  readonly runId: string
  readonly kind: RunKind
  /** The user who started it. */
  readonly userId: string
  readonly totalTasks: number
  readonly log: EventLog
  /** The `source` of its events. */
  readonly source: string
  readonly now: () => number
}

/** A finite piece of work that appends to its own log. Only its owner, the registry, ends it. */
export class Run {
  readonly id: string
  readonly kind: RunKind
  readonly userId: string
  readonly log: EventLog
  readonly startedAt: number
  readonly #source: string
  readonly #now: () => number
  readonly #abort = new AbortController()
  readonly #ended = Promise.withResolvers<void>()
  #begun = false
  #counts: { totalTasks: number; successCount: number; errorCount: number }
  #settleTasks: SettleTasks | undefined
  /** What its terminal event says: decided once, whatever becomes of the append. */
  #final: { readonly data: CompleteData; readonly endedAt: number } | undefined

  constructor({ runId, kind, userId, totalTasks, log, source, now }: RunOptions) {
    this.id = runId
    this.kind = kind
    this.userId = userId
    this.log = log
    this.startedAt = now()
    this.#source = source
    this.#now = now
    this.#counts = { totalTasks, successCount: 0, errorCount: 0 }
  }

  get status(): RunStatus {
    return this.#final?.data.status ?? (this.#begun ? 'running' : 'accepted')
  }

  /** Milliseconds since 1970; `undefined` while it goes on. */
  get endedAt(): number | undefined {
    return this.#final?.endedAt
  }

  /** Aborted with a `RunAbort` when the work is to stop. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Resolves once the terminal event has been appended, or given up. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Appends an event of the run. */
  emit<T extends Exclude<RunEventType, 'complete'>>(type: T, data: RunEvents[T]): Promise<LogEntry> {
    return this.append({ type, data, source: this.#source })
  }

  /** The same, from the JSON of its data. */
  emitJson(type: Exclude<RunEventType, 'complete'>, json: string): Promise<LogEntry> {
    return this.append({ type, json, source: this.#source })
  }

  /** Appends any event, as one relayed from elsewhere. */
  append(event: NewEvent): Promise<LogEntry> {
    return this.log.append([{ event }]).then(onlyEntry)
  }

  /** Notes how far the run is, for whoever asks. */
  count(counts: { totalTasks?: number; successCount: number; errorCount: number }): void {
    if (this.#final === undefined) this.#counts = { ...this.#counts, ...counts }
  }

  /** For whoever keeps its tasks: what to call where the work cannot give them their final states itself. */
  settleWith(settleTasks: SettleTasks): void {
    this.#settleTasks = settleTasks
  }

  /** Asks the work to stop. Answers whether it was still going on; then the run ends as the reason says. */
  abort(reason: RunAbort): boolean {
    if (this.#final !== undefined) return false
    this.#abort.abort(reason)
    return true
  }

  /** For its owner: the work has begun. */
  begin(): void {
    this.#begun = true
  }

  /** For its owner: the work is given up, and answers no more. */
  settle(error: string, code: TaskErrorCode): RunOutcome {
    if (this.#settleTasks !== undefined) return this.#settleTasks(error, code)
    const { totalTasks, successCount } = this.#counts
    return { totalTasks, successCount, errorCount: Math.max(0, totalTasks - successCount), errors: [] }
  }

  /**
   * For its owner: appends the one terminal event. May be called again where that failed; the first outcome stands.
   *
   * @param fallback the state it ends in. Default: by the counts. A run that was told to stop ends as it was told.
   */
  async finish(outcome: RunOutcome, fallback: FinalRunStatus = statusOf(outcome)): Promise<void> {
    this.#final ??= this.#finalOf(outcome, fallback)
    // A run is kept for a day; what kept its tasks need not be.
    this.#settleTasks = undefined
    await this.log.close({ event: { type: COMPLETE, data: this.#final.data, source: this.#source } })
    this.#ended.resolve()
  }

  /** For its owner: the terminal event cannot be appended. */
  giveUp(): void {
    this.#ended.resolve()
  }

  view(): RunView {
    return {
      runId: this.id,
      kind: this.kind,
      status: this.status,
      startedAt: this.startedAt,
      ...(this.endedAt === undefined ? {} : { endedAt: this.endedAt }),
      ...this.#counts,
      ...(this.log.head.n === 0 ? {} : { lastEventId: this.log.idOf(this.log.head) }),
    }
  }

  #finalOf({ totalTasks, successCount, errorCount, errors }: RunOutcome, fallback: FinalRunStatus) {
    const { reason } = this.signal
    const endedAt = this.#now()
    this.#counts = { totalTasks, successCount, errorCount }
    const data: CompleteData = {
      runId: this.id,
      status: reason instanceof RunAbort ? reason.status : fallback,
      ...this.#counts,
      errors: [...errors],
      durationMs: Math.max(0, endedAt - this.startedAt),
      ...(errors.length < errorCount ? { truncated: true } : {}),
    }
    return { data, endedAt }
  }
}

function statusOf({ successCount, errorCount }: RunOutcome): FinalRunStatus {
  if (errorCount === 0) return 'succeeded'
  return successCount > 0 ? 'partial' : 'failed'
}

function onlyEntry([entry]: readonly LogEntry[]): LogEntry {
  if (entry === undefined) throw new Error('the log answered an append with nothing')
  return entry
}
