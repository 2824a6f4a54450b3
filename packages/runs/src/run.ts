import type { Append, EventLog, LogEntry } from '@tributary/eventlog'
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
  type TaskFailure,
} from '@tributary/protocol'
import { RunAbort } from './run-error.ts'

/** What the work of a run came to. The run's state follows from the counts where `status` is absent. */
export interface RunOutcome {
  readonly totalTasks: number
  readonly successCount: number
  readonly errorCount: number
  readonly errors: readonly TaskFailure[]
  readonly status?: FinalRunStatus
}

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
  #status: RunStatus = 'accepted'
  #counts: { totalTasks: number; successCount: number; errorCount: number }
  #endedAt: number | undefined

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
    return this.#status
  }

  /** Milliseconds since 1970; `undefined` while it goes on. */
  get endedAt(): number | undefined {
    return this.#endedAt
  }

  /** Aborted with a `RunAbort` when the work is to stop. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Resolves once the terminal event has been appended. */
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
  async append(event: NewEvent): Promise<LogEntry> {
    const batch: Append[] = [{ event }]
    const [entry] = await this.log.append(batch)
    if (entry === undefined) throw new Error('the log answered an append with nothing')
    return entry
  }

  /** Notes how far the run is, for whoever asks. */
  count(counts: { totalTasks?: number; successCount: number; errorCount: number }): void {
    this.#counts = { ...this.#counts, ...counts }
  }

  /** Asks the work to stop. Answers whether it was still going on. */
  abort(reason: RunAbort): boolean {
    if (this.#endedAt !== undefined) return false
    this.#abort.abort(reason)
    return true
  }

  /** For the registry: the work has begun. */
  begin(): void {
    this.#status = 'running'
  }

  /** For the registry: appends the one terminal event. */
  async finish(outcome: RunOutcome): Promise<void> {
    const { totalTasks, successCount, errorCount, errors } = outcome
    const status = outcome.status ?? this.#statusOf(outcome)
    this.#status = status
    this.#endedAt = this.#now()
    this.#counts = { totalTasks, successCount, errorCount }
    const durationMs = Math.max(0, this.#endedAt - this.startedAt)
    const data: CompleteData = { runId: this.id, status, ...this.#counts, errors: [...errors], durationMs }
    try {
      await this.log.close({ event: { type: COMPLETE, data, source: this.#source } })
    } finally {
      this.#ended.resolve()
    }
  }

  view(): RunView {
    return {
      runId: this.id,
      kind: this.kind,
      status: this.#status,
      startedAt: this.startedAt,
      ...(this.#endedAt === undefined ? {} : { endedAt: this.#endedAt }),
      ...this.#counts,
      ...(this.log.head.n === 0 ? {} : { lastEventId: this.log.idOf(this.log.head) }),
    }
  }

  #statusOf({ successCount, errorCount }: RunOutcome): FinalRunStatus {
    const { reason } = this.signal
    if (reason instanceof RunAbort) return reason.status
    if (errorCount === 0) return 'succeeded'
    return successCount > 0 ? 'partial' : 'failed'
  }
}
