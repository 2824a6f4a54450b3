import type { AppendOptions, EventLog, LogEntry } from '@tributary/eventlog'
import {
  type Clock,
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
import type { KnownRun } from './known-run.ts'
import { PatientLog } from './patient-log.ts'
import { RunAbort, RunSuspendedError } from './run-error.ts'
import { type RunRecord, viewOfRecord } from './run-record.ts'

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

/** What a run keeps with its log, beside its events: set, or taken away where `null`. */
export type Attributes = NonNullable<AppendOptions['attributes']>

/** The attributes that are the registry's own: what the run is, and what it was asked for. */
export const RECORD = 'run'
export const REQUEST = 'request'

export interface RunOptions {
  readonly runId: string
  readonly record: RunRecord
  readonly log: EventLog
  /** The `source` of its events. */
  readonly source: string
  readonly clock: Clock
  /** Called when its last reader has left. */
  readonly onUnread?: (run: Run) => void
}

/** A finite piece of work that appends to its own log. Only its owner, the registry, ends it. */
export class Run implements KnownRun {
  readonly id: string
  readonly log: EventLog
  readonly #source: string
  readonly #clock: Clock
  readonly #patientLog: PatientLog
  readonly #onUnread: ((run: Run) => void) | undefined
  readonly #abort = new AbortController()
  readonly #drain = new AbortController()
  readonly #suspend = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #record: RunRecord
  #readers = 0
  #begun = false
  #suspended = false
  #settleTasks: SettleTasks | undefined
  /** What its terminal event says: decided once, whatever becomes of the append. */
  #final: { readonly data: CompleteData; readonly record: RunRecord } | undefined

  constructor({ runId, record, log, source, clock, onUnread }: RunOptions) {
    this.id = runId
    this.log = log
    this.#record = record
    this.#source = source
    this.#clock = clock
    this.#patientLog = new PatientLog(log, clock)
    this.#onUnread = onUnread
  }

  get kind(): RunKind {
    return this.#record.kind
  }

  get userId(): string {
    return this.#record.userId
  }

  get startedAt(): number {
    return this.#record.startedAt
  }

  /** As it would be stored now. */
  get record(): RunRecord {
    return this.#final?.record ?? this.#record
  }

  /** Whether an earlier process began it: its log says how far that one came. */
  get resumed(): boolean {
    return this.#record.epoch > 1
  }

  get status(): RunStatus {
    return this.#final?.data.status ?? (this.#begun || this.resumed ? 'running' : 'accepted')
  }

  get endedAt(): number | undefined {
    return this.record.ended?.at
  }

  /** Aborted when the work is to stop: with a `RunAbort`, or a `RunSuspendedError`. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Aborted when the work is to begin nothing more. Once what is under way has ended, it answers `undefined`. */
  get draining(): AbortSignal {
    return this.#drain.signal
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Resolves when this process is to work at it no more. */
  get suspended(): Promise<void> {
    return this.#suspend.promise
  }

  get readerCount(): number {
    return this.#readers
  }

  async openLog(): Promise<EventLog> {
    return this.log
  }

  /** What is kept under a name of the work's own. */
  attribute(name: string): string | undefined {
    return this.log.attributes.get(name)
  }

  /** Appends an event of the run. */
  emit<T extends Exclude<RunEventType, 'complete'>>(
    type: T,
    data: RunEvents[T],
    attributes?: Attributes,
  ): Promise<LogEntry> {
    return this.append({ type, data, source: this.#source }, attributes)
  }

  /** The same, from the JSON of its data. */
  emitJson(
    type: Exclude<RunEventType, 'complete'>,
    json: string,
    attributes?: Attributes,
  ): Promise<LogEntry> {
    return this.append({ type, json, source: this.#source }, attributes)
  }

  /**
   * Appends any event, as one relayed from elsewhere; what the attributes say changes in the same step.
   *
   * @throws RunSuspendedError once this process works at it no more.
   */
  append(event: NewEvent, attributes?: Attributes): Promise<LogEntry> {
    return this.#write([{ event }], attributes).then(onlyEntry)
  }

  /** Changes attributes alone. */
  async note(attributes: Attributes): Promise<void> {
    await this.#write([], attributes)
  }

  /** Notes how far the run is, for whoever asks. */
  count(counts: { totalTasks?: number; successCount: number; errorCount: number }): void {
    if (this.#final === undefined) this.#record = { ...this.#record, ...counts }
  }

  /** For whoever keeps its tasks: what to call where the work cannot give them their final states itself. */
  settleWith(settleTasks: SettleTasks): void {
    this.#settleTasks = settleTasks
  }

  hold(): () => void {
    this.#readers += 1
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#readers -= 1
      if (this.#readers === 0 && this.#final === undefined) this.#onUnread?.(this)
    }
  }

  /** Asks the work to stop. Answers whether it was still going on; then the run ends as the reason says. */
  abort(reason: RunAbort): boolean {
    if (this.#final !== undefined || this.#suspended) return false
    this.#abort.abort(reason)
    return true
  }

  /** For its owner: the work has begun. */
  begin(): void {
    this.#begun = true
  }

  /** For its owner: begin nothing more. */
  drain(): void {
    this.#drain.abort(new RunSuspendedError())
  }

  /** For its owner: this process works at it no more. It is stored as it stands, and nothing is appended from now on. */
  suspend(): void {
    if (this.log.closed || this.#suspended) return
    this.#suspended = true
    const reason = new RunSuspendedError()
    this.#abort.abort(reason)
    this.#patientLog.close(reason)
    this.#suspend.resolve()
    this.#ended.resolve()
  }

  /** For its owner: the work is given up, and answers no more. */
  settle(error: string, code: TaskErrorCode): RunOutcome {
    if (this.#settleTasks !== undefined) return this.#settleTasks(error, code)
    const { totalTasks, successCount } = this.#record
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
    if (this.#suspended) throw new RunSuspendedError()
    const { data, record } = this.#final
    const attributes: Record<string, string | null> = {}
    for (const name of this.log.attributes.keys()) attributes[name] = null
    attributes[RECORD] = JSON.stringify(record)
    const terminal = { event: { type: COMPLETE, data, source: this.#source } }
    await this.log.close(terminal, { attributes, epoch: record.epoch })
    this.#ended.resolve()
  }

  /** For its owner: the terminal event cannot be appended. */
  giveUp(): void {
    this.#ended.resolve()
  }

  view(): RunView {
    const { head } = this.log
    return viewOfRecord(this.id, this.record, this.status, head.n === 0 ? undefined : this.log.idOf(head))
  }

  #write(batch: Parameters<EventLog['append']>[0], attributes?: Attributes) {
    if (this.#suspended) return Promise.reject(new RunSuspendedError())
    const { epoch } = this.#record
    return this.#patientLog.append(batch, attributes === undefined ? { epoch } : { epoch, attributes })
  }

  #finalOf({ totalTasks, successCount, errorCount, errors }: RunOutcome, fallback: FinalRunStatus) {
    const { reason } = this.signal
    const at = this.#clock.now()
    const status = reason instanceof RunAbort ? reason.status : fallback
    const counts = { totalTasks, successCount, errorCount }
    const data: CompleteData = {
      runId: this.id,
      status,
      ...counts,
      errors: [...errors],
      durationMs: Math.max(0, at - this.startedAt),
      ...(errors.length < errorCount ? { truncated: true } : {}),
    }
    return { data, record: { ...this.#record, ...counts, ended: { at, status } } }
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
