import {
  type Append,
  type EventLog,
  LogClosedError,
  type LogEntry,
  StaleEpochError,
} from '@tributary/eventlog'
import {
  type Clock,
  COMPLETE,
  type FinalRunStatus,
  type NewEvent,
  type RunEvents,
  type RunEventType,
  type RunKind,
  type RunStatus,
  type RunView,
  type TaskErrorCode,
} from '@tributary/protocol'
import { caughtUp } from './caught-up.ts'
import type { KnownRun } from './known-run.ts'
import { PatientLog } from './patient-log.ts'
import { type ReaderMarks, readUntil } from './reader-marks.ts'
import { type Attributes, CANCELLED, RECORD } from './run-attributes.ts'
import { type RunEnd, type RunOutcome, runEnd } from './run-end.ts'
import { RunAbort, RunSuspendedError } from './run-error.ts'
import { NO_RUN_METER, type RunMeter } from './run-meter.ts'
import { type RunRecord, viewOfRecord } from './run-record.ts'
import { noTakeovers, type Takeover } from './takeovers.ts'

/** Gives each task that has none its final state, and answers what the run came to. */
export type SettleTasks = (error: string, code: TaskErrorCode) => RunOutcome

/** How often it is noted at most how far a run is, in ms. */
const NOTE_COUNTS_MS = 1_000

export interface RunOptions {
  readonly runId: string
  readonly record: RunRecord
  readonly log: EventLog
  /** How many events its log keeps. */
  readonly maxEvents: number
  /** The `source` of its events. */
  readonly source: string
  readonly clock: Clock
  /** There where it was begun, or at least accepted, by another node. Default: it was not, or by an earlier start of this one. */
  readonly takeover?: Takeover
  /** Default: nothing is counted. */
  readonly meter?: RunMeter
  /** Called when its last reader has left. */
  readonly onUnread?: (run: Run) => void
}

/** A finite piece of work that appends to its own log. Only its owner, the registry, ends it. */
export class Run implements KnownRun {
  readonly id: string
  readonly log: EventLog
  readonly #options: RunOptions
  readonly #patientLog: PatientLog
  readonly #abort = new AbortController()
  readonly #drain = new AbortController()
  readonly #suspend = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #record: RunRecord
  #readers = 0
  #begun = false
  #suspended = false
  #isShared = false
  #cancelNote: (() => void) | undefined
  #unmark: (() => void) | undefined
  #settleTasks: SettleTasks | undefined
  /** Decided once, whatever becomes of the append. */
  #end: RunEnd | undefined

  constructor(options: RunOptions) {
    const { runId, record, log, clock } = options
    this.id = runId
    this.log = log
    this.#options = options
    this.#record = record
    this.#patientLog = new PatientLog(log, clock, (error) => this.#onRefused(error))
  }

  get kind(): RunKind {
    return this.#record.kind
  }

  /** Who counts what becomes of it. */
  get meter(): RunMeter {
    return this.#options.meter ?? NO_RUN_METER
  }

  get userId(): string {
    return this.#record.userId
  }

  get startedAt(): number {
    return this.#record.startedAt
  }

  /** As it would be stored now. */
  get record(): RunRecord {
    return this.#end?.record ?? this.#record
  }

  /** Whether an earlier process began it: its log says how far that one came. */
  get resumed(): boolean {
    return this.#record.epoch > 1
  }

  /** Whether it is to be taken over before anything is done for it. */
  get taken(): boolean {
    return this.#options.takeover !== undefined || this.resumed
  }

  /** How many nodes it was taken from in a row, and has come no further since. */
  get takeovers(): number {
    return this.#options.takeover?.times ?? 0
  }

  get status(): RunStatus {
    return this.#end?.data.status ?? (this.#begun || this.resumed ? 'running' : 'accepted')
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

  /** There while the store refuses, as on a full disk: work that has not begun should wait for this. */
  get stall(): Promise<void> | undefined {
    return this.#patientLog.stall
  }

  /** Which part of its log is filled, from 0; 1 and more: the oldest events are gone. */
  get logFill(): number {
    return this.log.head.n / this.#options.maxEvents
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Resolves when this process is to work at it no more. */
  get suspended(): Promise<void> {
    return this.#suspend.promise
  }

  get isSuspended(): boolean {
    return this.#suspended
  }

  /** Whether it is stored that it has ended, or is cancelled: then it ends so whatever becomes of this process. */
  get isEndStored(): boolean {
    return this.log.closed || this.attribute(CANCELLED) !== undefined
  }

  get readerCount(): number {
    return this.#readers
  }

  /** In ms since 1970; 0 where no other node has said so. */
  get readElsewhereUntil(): number {
    return readUntil(this.log)
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
    return this.append({ type, data, source: this.#options.source }, attributes)
  }

  /** The same, from the JSON of its data. */
  emitJson(
    type: Exclude<RunEventType, 'complete'>,
    json: string,
    attributes?: Attributes,
  ): Promise<LogEntry> {
    return this.append({ type, json, source: this.#options.source }, attributes)
  }

  /**
   * Appends any event, as one relayed from elsewhere; what the attributes say changes in the same step. Waits where
   * the store refuses for now.
   *
   * @throws RunSuspendedError once this process works at it no more.
   */
  append(event: NewEvent, attributes?: Attributes): Promise<LogEntry> {
    return this.#write([{ event }], attributes).then(onlyEntry)
  }

  /** Appends all of them or none, in this order. @throws as `append` */
  async appendAll(events: readonly NewEvent[], attributes?: Attributes): Promise<void> {
    const batch = events.map((event) => ({ event }))
    await this.#write(batch, attributes)
  }

  /** Changes attributes alone. */
  async note(attributes: Attributes): Promise<void> {
    await this.#write([], attributes)
  }

  /** Notes how far the run is, for whoever asks. */
  count(counts: { totalTasks?: number; successCount: number; errorCount: number }): void {
    if (this.#end !== undefined) return
    this.#record = { ...this.#record, ...counts }
    if (this.#isShared) this.#noteLater()
  }

  /** For who asks other nodes. */
  #noteLater(): void {
    this.#cancelNote ??= this.#options.clock.after(NOTE_COUNTS_MS, () => {
      this.#cancelNote = undefined
      if (this.#end === undefined)
        this.note({ [RECORD]: JSON.stringify(this.#record) }).catch(() => undefined)
    })
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
      if (this.#readers > 0) return
      this.#unmark?.()
      if (this.#end === undefined) this.#options.onUnread?.(this)
    }
  }

  /** Asks the work to stop. Answers whether it was still going on; then the run ends as the reason says. */
  abort(reason: RunAbort): boolean {
    if (this.#end !== undefined || this.#suspended) return false
    if (this.signal.aborted) return true
    // Stored, so that it ends so also where this process ends before it; `isEndStored` says whether it is.
    const isNoted = this.attribute(CANCELLED) !== undefined
    if (reason.code === 'cancelled' && !isNoted)
      this.note({ [CANCELLED]: reason.message }).catch(() => undefined)
    this.#abort.abort(reason)
    return true
  }

  /** For its owner: the work is about to begin. */
  begin(): void {
    this.#begun = true
  }

  /**
   * For its owner: what an earlier process began is this one's. From now on the appends of that one are refused, and all
   * that it did append is known here.
   */
  async takeOver(): Promise<void> {
    await this.note({ [RECORD]: JSON.stringify(this.#record), ...this.#options.takeover?.attributes })
    // Only now it is the last that there is: what was known before may lack what that one stored since.
    await caughtUp(this.log, { clock: this.#options.clock, end: this.#suspend.promise })
    this.#obeyCancel()
  }

  /** For its owner: it lets go of the run in good order, so that who is next need not fear it. */
  async letGo(): Promise<void> {
    const attributes = noTakeovers(this.log)
    if (attributes !== undefined) await this.log.append([], { attributes, epoch: this.#record.epoch })
  }

  /** For its owner: hears of what others note with its log, until the answer is called. Needed where there are others. */
  watch(): () => void {
    this.#isShared = true
    const following = this.log.follow()
    // Where the store is away, the log follows once it is back.
    following.ready?.then(
      () => this.#obeyCancel(),
      () => undefined,
    )
    const unlisten = this.log.onAttributes(() => this.#obeyCancel())
    return () => {
      this.#cancelNote?.()
      unlisten()
      following.end()
    }
  }

  /** For its owner: another goes on with it, and has to know of its readers here. */
  handOver(marks: ReaderMarks): void {
    if (this.#readers > 0 && this.#record.onDisconnect === 'cancel') {
      this.#unmark = marks.hold(this.id, () => this.openLog())
    }
  }

  /** For its owner: begin nothing more. */
  drain(): void {
    this.#drain.abort(new RunSuspendedError())
  }

  /** For its owner: this process works at it no more. It is stored as it stands, and nothing is appended from now on. */
  suspend(): void {
    if (!this.log.closed) this.#putDown()
  }

  #putDown(): void {
    if (this.#suspended) return
    this.#suspended = true
    const reason = new RunSuspendedError()
    this.#patientLog.giveUp(reason)
    this.#suspend.resolve()
    if (!this.signal.aborted) this.#abort.abort(reason)
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
  async finish(outcome: RunOutcome, fallback?: FinalRunStatus): Promise<void> {
    const { reason } = this.signal
    const { source, clock } = this.#options
    // What is lost with its nodes ends by the counts, too, where it has any.
    const lostStatus = outcome.totalTasks === 0 ? 'failed' : undefined
    const status = reason instanceof RunAbort ? (reason.status ?? lostStatus) : fallback
    this.#end ??= runEnd(this.id, this.#record, outcome, { at: clock.now(), status })
    // A run is kept for a day; what kept its tasks need not be.
    this.#settleTasks = undefined
    const { data, record } = this.#end
    const attributes: Record<string, string | null> = {}
    for (const name of this.log.attributes.keys()) attributes[name] = null
    attributes[RECORD] = JSON.stringify(record)
    const terminal = { event: { type: COMPLETE, data, source } }
    await this.#patientLog.close(terminal, { attributes, epoch: record.epoch })
    this.meter.ended(this.kind, data.status, data.durationMs)
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

  /** Ends so where somebody noted that it is cancelled. */
  #obeyCancel(): void {
    const cancelled = this.attribute(CANCELLED)
    if (cancelled !== undefined && !this.signal.aborted) this.abort(RunAbort.cancelled(cancelled))
  }

  /** Who has taken it over has the last word, or had it already. */
  #onRefused(error: unknown): void {
    const isTaken = error instanceof StaleEpochError
    const isEndedElsewhere = error instanceof LogClosedError && this.#end === undefined
    if (isTaken || isEndedElsewhere) this.#putDown()
  }

  #write(batch: readonly Append[], attributes?: Attributes): Promise<readonly LogEntry[]> {
    const { epoch } = this.#record
    return this.#patientLog.append(batch, attributes === undefined ? { epoch } : { epoch, attributes })
  }
}

function onlyEntry([entry]: readonly LogEntry[]): LogEntry {
  if (entry === undefined) throw new Error('the log answered an append with nothing')
  return entry
}
