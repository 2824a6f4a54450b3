import type { EventLog, LogEntry } from '@tributary/eventlog'
import type { NewEvent, RunEvents, RunEventType, RunKind, RunStatus, RunView } from '@tributary/protocol'
import type { KnownRun } from './known-run.ts'
import { readUntil } from './reader-marks.ts'
import type { SettleTasks, TaskCounts } from './run-account.ts'
import { type Attributes, CANCELLED } from './run-attributes.ts'
import type { RunAbort } from './run-error.ts'
import { NO_RUN_METER, type RunMeter } from './run-meter.ts'
import type { RunParts } from './run-parts.ts'
import { type RunRecord, viewOfRecord } from './run-record.ts'

/** A finite piece of work that appends to its own log, as the work sees it. Only its owner, the registry, ends it. */
export class Run implements KnownRun {
  readonly id: string
  readonly log: EventLog
  protected readonly parts: RunParts

  constructor(parts: RunParts) {
    const { runId, log } = parts.options
    this.id = runId
    this.log = log
    this.parts = parts
  }

  get kind(): RunKind {
    return this.record.kind
  }

  /** Who counts what becomes of it. */
  get meter(): RunMeter {
    return this.parts.options.meter ?? NO_RUN_METER
  }

  get userId(): string {
    return this.record.userId
  }

  get startedAt(): number {
    return this.record.startedAt
  }

  /** As it would be stored now. */
  get record(): RunRecord {
    return this.parts.account.record
  }

  /** Names what is prepared for it elsewhere: the same for all of one key, until one of them is accepted. */
  get preparedAs(): string {
    return this.record.preparedAs ?? this.id
  }

  /** Whether an earlier process began it: its log says how far that one came. */
  get resumed(): boolean {
    return this.record.epoch > 1
  }

  /** Whether it is to be taken over before anything is done for it. */
  get taken(): boolean {
    return this.parts.options.takeover !== undefined || this.resumed
  }

  /** How many nodes it was taken from in a row, and has come no further since. */
  get takeovers(): number {
    return this.parts.options.takeover?.times ?? 0
  }

  get status(): RunStatus {
    return (
      this.parts.account.end?.data.status ?? (this.parts.isBegun || this.resumed ? 'running' : 'accepted')
    )
  }

  get endedAt(): number | undefined {
    return this.record.ended?.at
  }

  /** Aborted when the work is to stop: with a `RunAbort`, or a `RunSuspendedError`. */
  get signal(): AbortSignal {
    return this.parts.stops.signal
  }

  /** Aborted when the work is to begin nothing more. Once what is under way has ended, it answers `undefined`. */
  get draining(): AbortSignal {
    return this.parts.stops.draining
  }

  /** There while the store refuses, as on a full disk: work that has not begun should wait for this. */
  get stall(): Promise<void> | undefined {
    return this.parts.writes.stall
  }

  /** Which part of its log is filled, from 0; 1 and more: the oldest events are gone. */
  get logFill(): number {
    return this.log.head.n / this.parts.options.maxEvents
  }

  get ended(): Promise<void> {
    return this.parts.ended.promise
  }

  /** Resolves when this process is to work at it no more. */
  get suspended(): Promise<void> {
    return this.parts.stops.suspended
  }

  get isSuspended(): boolean {
    return this.parts.stops.isSuspended
  }

  /** Whether it is stored that it has ended, or is cancelled: then it ends so whatever becomes of this process. */
  get isEndStored(): boolean {
    return this.log.closed || this.attribute(CANCELLED) !== undefined
  }

  get readerCount(): number {
    return this.parts.readers.count
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
    return this.append({ type, data, source: this.parts.options.source }, attributes)
  }

  /** The same, from the JSON of its data. */
  emitJson(
    type: Exclude<RunEventType, 'complete'>,
    json: string,
    attributes?: Attributes,
  ): Promise<LogEntry> {
    return this.append({ type, json, source: this.parts.options.source }, attributes)
  }

  /**
   * Appends any event, as one relayed from elsewhere; what the attributes say changes in the same step. Waits where
   * the store refuses for now.
   *
   * @throws RunSuspendedError once this process works at it no more.
   */
  append(event: NewEvent, attributes?: Attributes): Promise<LogEntry> {
    return this.parts.writes.append(event, attributes)
  }

  /** Appends all of them or none, in this order. @throws as `append` */
  appendAll(events: readonly NewEvent[], attributes?: Attributes): Promise<void> {
    return this.parts.writes.appendAll(events, attributes)
  }

  /** Changes attributes alone. */
  note(attributes: Attributes): Promise<void> {
    return this.parts.writes.note(attributes)
  }

  /** Notes how far the run is, for whoever asks. */
  count(counts: TaskCounts): void {
    if (this.parts.account.end !== undefined) return
    this.parts.account.count(counts)
    this.parts.noteCounts()
  }

  /** For whoever keeps its tasks: what to call where the work cannot give them their final states itself. */
  settleWith(settleTasks: SettleTasks): void {
    this.parts.account.settleWith(settleTasks)
  }

  hold(): () => void {
    return this.parts.readers.hold(() => {
      if (this.parts.account.end === undefined) this.parts.options.onUnread?.()
    })
  }

  /** Asks the work to stop. Answers whether it was still going on; then the run ends as the reason says. */
  abort(reason: RunAbort): boolean {
    return this.parts.abort(reason)
  }

  /** What is told of it. Where another node may have it by now, this one does not know how far it is. */
  view(): RunView {
    const { head } = this.log
    const { mayBeReplaced } = this.parts.options
    const isUnsure = this.endedAt === undefined && mayBeReplaced?.() === true
    const status = isUnsure ? 'unreachable' : this.status
    return viewOfRecord(this.id, this.record, status, head.n === 0 ? undefined : this.log.idOf(head))
  }
}
