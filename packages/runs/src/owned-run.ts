import { COMPLETE, type FinalRunStatus, type TaskErrorCode } from '@tributary/protocol'
import type { ReaderMarks } from './reader-marks.ts'
import { Run } from './run.ts'
import { RECORD } from './run-attributes.ts'
import type { RunOutcome } from './run-end.ts'
import { RunAbort } from './run-error.ts'
import { type RunOptions, RunParts } from './run-parts.ts'

/** A run as its owner, the registry, has it: who begins it, takes it over, puts it down and ends it. */
export class OwnedRun extends Run {
  constructor(options: RunOptions) {
    super(new RunParts(options))
  }

  /** The work is about to begin. */
  begin(): void {
    this.parts.isBegun = true
  }

  /**
   * What an earlier process began is this one's: from now on the appends of that one are refused, and all that it did
   * append is known here.
   */
  takeOver(): Promise<void> {
    return this.parts.ownership.takeOver(JSON.stringify(this.record))
  }

  /** Lets go of the run in good order, so that who is next need not fear it. */
  letGo(): Promise<void> {
    return this.parts.ownership.letGo()
  }

  /**
   * Hears of what others note with its log, until the answer is called. Needed where there are others: one that has taken
   * it over is obeyed at once, not only at the next append.
   */
  watch(): () => void {
    this.parts.isShared = true
    const end = this.parts.ownership.watch()
    return () => {
      this.parts.stopNoting()
      end()
    }
  }

  /** Another goes on with it, and has to know of its readers here. */
  handOver(marks: ReaderMarks): void {
    if (this.record.onDisconnect !== 'cancel') return
    this.parts.readers.handOver(this.id, marks, () => this.openLog())
  }

  /** Has the work begin nothing more. */
  drain(): void {
    this.parts.stops.drain()
  }

  /** This process works at it no more. It is stored as it stands, and nothing is appended from now on. */
  suspend(): void {
    if (!this.log.closed) this.parts.putDown()
  }

  /** The work is given up, and answers no more. */
  settle(error: string, code: TaskErrorCode): RunOutcome {
    return this.parts.account.settle(error, code)
  }

  /**
   * Appends the one terminal event. May be called again where that failed; the first outcome stands.
   *
   * @param fallback the state it ends in. Default: by the counts. A run that was told to stop ends as it was told.
   */
  async finish(outcome: RunOutcome, fallback?: FinalRunStatus): Promise<void> {
    const { reason } = this.signal
    const { source, clock } = this.parts.options
    // What is lost with its nodes ends by the counts, too, where it has any.
    const lostStatus = outcome.totalTasks === 0 ? 'failed' : undefined
    const status = reason instanceof RunAbort ? (reason.status ?? lostStatus) : fallback
    const { data, record } = this.parts.account.close(this.id, outcome, { at: clock.now(), status })
    const attributes: Record<string, string | null> = {}
    for (const name of this.log.attributes.keys()) attributes[name] = null
    attributes[RECORD] = JSON.stringify(record)
    await this.parts.writes.close({ type: COMPLETE, data, source }, attributes)
    this.meter.ended(this.kind, data.status, data.durationMs)
    this.parts.ended.resolve()
  }

  /** The terminal event cannot be appended. */
  giveUp(): void {
    this.parts.ended.resolve()
  }
}
