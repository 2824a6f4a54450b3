import type { EventLog, LogEntry } from '@tributary/eventlog'
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
import { HeldReaders } from './held-readers.ts'
import type { KnownRun } from './known-run.ts'
import { type ReaderMarks, readUntil } from './reader-marks.ts'
import { RunAccount, type SettleTasks, type TaskCounts } from './run-account.ts'
import { type Attributes, CANCELLED, RECORD } from './run-attributes.ts'
import type { RunOutcome } from './run-end.ts'
import { RunAbort } from './run-error.ts'
import { NO_RUN_METER, type RunMeter } from './run-meter.ts'
import { RunOwnership } from './run-ownership.ts'
import { type RunRecord, viewOfRecord } from './run-record.ts'
import { RunStops } from './run-stops.ts'
import { RunWrites } from './run-writes.ts'
import type { Takeover } from './takeovers.ts'

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
  readonly #writes: RunWrites
  readonly #account: RunAccount
  readonly #ownership: RunOwnership
  readonly #stops = new RunStops()
  readonly #readers = new HeldReaders()
  readonly #ended = Promise.withResolvers<void>()
  #begun = false
  #isShared = false
  #cancelNote: (() => void) | undefined

  constructor(options: RunOptions) {
    const { runId, record, log, clock, takeover } = options
    this.id = runId
    this.log = log
    this.#options = options
    this.#account = new RunAccount(record)
    const { epoch } = record
    // Who has taken it over has the last word, or had it already.
    const onTaken = () => this.#putDown()
    this.#writes = new RunWrites({ log, clock, epoch, onTaken })
    this.#ownership = new RunOwnership({
      log,
      clock,
      epoch,
      takeover,
      writes: this.#writes,
      suspended: this.#stops.suspended,
      onTaken,
      onCancelled: (message) => {
        if (!this.signal.aborted) this.abort(RunAbort.cancelled(message))
      },
    })
  }

  get kind(): RunKind {
    return this.record.kind
  }

  /** Who counts what becomes of it. */
  get meter(): RunMeter {
    return this.#options.meter ?? NO_RUN_METER
  }

  get userId(): string {
    return this.record.userId
  }

  get startedAt(): number {
    return this.record.startedAt
  }

  /** As it would be stored now. */
  get record(): RunRecord {
    return this.#account.record
  }

  /** Whether an earlier process began it: its log says how far that one came. */
  get resumed(): boolean {
    return this.record.epoch > 1
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
    return this.#account.end?.data.status ?? (this.#begun || this.resumed ? 'running' : 'accepted')
  }

  get endedAt(): number | undefined {
    return this.record.ended?.at
  }

  /** Aborted when the work is to stop: with a `RunAbort`, or a `RunSuspendedError`. */
  get signal(): AbortSignal {
    return this.#stops.signal
  }

  /** Aborted when the work is to begin nothing more. Once what is under way has ended, it answers `undefined`. */
  get draining(): AbortSignal {
    return this.#stops.draining
  }

  /** There while the store refuses, as on a full disk: work that has not begun should wait for this. */
  get stall(): Promise<void> | undefined {
    return this.#writes.stall
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
    return this.#stops.suspended
  }

  get isSuspended(): boolean {
    return this.#stops.isSuspended
  }

  /** Whether it is stored that it has ended, or is cancelled: then it ends so whatever becomes of this process. */
  get isEndStored(): boolean {
    return this.log.closed || this.attribute(CANCELLED) !== undefined
  }

  get readerCount(): number {
    return this.#readers.count
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
    return this.#writes.append(event, attributes)
  }

  /** Appends all of them or none, in this order. @throws as `append` */
  appendAll(events: readonly NewEvent[], attributes?: Attributes): Promise<void> {
    return this.#writes.appendAll(events, attributes)
  }

  /** Changes attributes alone. */
  note(attributes: Attributes): Promise<void> {
    return this.#writes.note(attributes)
  }

  /** Notes how far the run is, for whoever asks. */
  count(counts: TaskCounts): void {
    if (this.#account.end !== undefined) return
    this.#account.count(counts)
    if (this.#isShared) this.#noteLater()
  }

  /** For who asks other nodes. */
  #noteLater(): void {
    this.#cancelNote ??= this.#options.clock.after(NOTE_COUNTS_MS, () => {
      this.#cancelNote = undefined
      if (this.#account.end === undefined)
        this.note({ [RECORD]: JSON.stringify(this.record) }).catch(() => undefined)
    })
  }

  /** For whoever keeps its tasks: what to call where the work cannot give them their final states itself. */
  settleWith(settleTasks: SettleTasks): void {
    this.#account.settleWith(settleTasks)
  }

  hold(): () => void {
    return this.#readers.hold(() => {
      if (this.#account.end === undefined) this.#options.onUnread?.(this)
    })
  }

  /** Asks the work to stop. Answers whether it was still going on; then the run ends as the reason says. */
  abort(reason: RunAbort): boolean {
    if (this.#account.end !== undefined || this.isSuspended) return false
    if (this.signal.aborted) return true
    // Stored, so that it ends so also where this process ends before it; `isEndStored` says whether it is.
    const isNoted = this.attribute(CANCELLED) !== undefined
    if (reason.code === 'cancelled' && !isNoted)
      this.note({ [CANCELLED]: reason.message }).catch(() => undefined)
    this.#stops.abort(reason)
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
  takeOver(): Promise<void> {
    return this.#ownership.takeOver(JSON.stringify(this.record))
  }

  /** For its owner: it lets go of the run in good order, so that who is next need not fear it. */
  letGo(): Promise<void> {
    return this.#ownership.letGo()
  }

  /**
   * For its owner: hears of what others note with its log, until the answer is called. Needed where there are others: one
   * that has taken it over is obeyed at once, not only at the next append.
   */
  watch(): () => void {
    this.#isShared = true
    const end = this.#ownership.watch()
    return () => {
      this.#cancelNote?.()
      end()
    }
  }

  /** For its owner: another goes on with it, and has to know of its readers here. */
  handOver(marks: ReaderMarks): void {
    if (this.record.onDisconnect !== 'cancel') return
    this.#readers.handOver(this.id, marks, () => this.openLog())
  }

  /** For its owner: begin nothing more. */
  drain(): void {
    this.#stops.drain()
  }

  /** For its owner: this process works at it no more. It is stored as it stands, and nothing is appended from now on. */
  suspend(): void {
    if (!this.log.closed) this.#putDown()
  }

  #putDown(): void {
    this.#stops.suspend((reason) => this.#writes.giveUp(reason))
    this.#ended.resolve()
  }

  /** For its owner: the work is given up, and answers no more. */
  settle(error: string, code: TaskErrorCode): RunOutcome {
    return this.#account.settle(error, code)
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
    const { data, record } = this.#account.close(this.id, outcome, { at: clock.now(), status })
    const attributes: Record<string, string | null> = {}
    for (const name of this.log.attributes.keys()) attributes[name] = null
    attributes[RECORD] = JSON.stringify(record)
    await this.#writes.close({ type: COMPLETE, data, source }, attributes)
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
}
