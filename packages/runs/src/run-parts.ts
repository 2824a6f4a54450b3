import type { EventLog } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'
import { HeldReaders } from './held-readers.ts'
import { RunAccount } from './run-account.ts'
import { CANCELLED, RECORD } from './run-attributes.ts'
import { RunAbort } from './run-error.ts'
import type { RunMeter } from './run-meter.ts'
import { RunOwnership } from './run-ownership.ts'
import type { RunRecord } from './run-record.ts'
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
  /** Whether another node may have taken it over meanwhile, and have ended it. Default: none can. */
  readonly mayBeReplaced?: () => boolean
  /** Called when its last reader has left. */
  readonly onUnread?: () => void
}

/** What a run is made of: its work sees one side of it (`Run`), the registry both (`OwnedRun`). */
export class RunParts {
  readonly options: RunOptions
  readonly writes: RunWrites
  readonly account: RunAccount
  readonly ownership: RunOwnership
  readonly stops = new RunStops()
  readonly readers = new HeldReaders()
  readonly ended = Promise.withResolvers<void>()
  isBegun = false
  /** Whether other nodes may ask how far it is. */
  isShared = false
  #cancelNote: (() => void) | undefined

  constructor(options: RunOptions) {
    const { record, log, clock, takeover } = options
    const { epoch } = record
    this.options = options
    this.account = new RunAccount(record)
    // Who has taken it over has the last word, or had it already.
    const onTaken = () => this.putDown()
    this.writes = new RunWrites({ log, clock, epoch, onTaken })
    this.ownership = new RunOwnership({
      log,
      clock,
      epoch,
      takeover,
      writes: this.writes,
      suspended: this.stops.suspended,
      onTaken,
      onCancelled: (message) => {
        if (!this.stops.signal.aborted) this.abort(RunAbort.cancelled(message))
      },
    })
  }

  /** Answers whether it was still going on. */
  abort(reason: RunAbort): boolean {
    const { account, stops, writes, options } = this
    if (account.end !== undefined || stops.isSuspended) return false
    if (stops.signal.aborted) return true
    // Stored, so that it ends so also where this process ends before it; `isEndStored` says whether it is.
    const isNoted = options.log.attributes.has(CANCELLED)
    if (reason.code === 'cancelled' && !isNoted)
      writes.note({ [CANCELLED]: reason.message }).catch(() => undefined)
    stops.abort(reason)
    return true
  }

  /** This process works at it no more. */
  putDown(): void {
    this.stops.suspend((reason) => this.writes.giveUp(reason))
    this.ended.resolve()
  }

  /** Has it noted soon how far it is, for who asks other nodes. */
  noteCounts(): void {
    if (!this.isShared) return
    this.#cancelNote ??= this.options.clock.after(NOTE_COUNTS_MS, () => {
      this.#cancelNote = undefined
      if (this.account.end !== undefined) return
      this.writes.note({ [RECORD]: JSON.stringify(this.account.record) }).catch(() => undefined)
    })
  }

  stopNoting(): void {
    this.#cancelNote?.()
  }
}
