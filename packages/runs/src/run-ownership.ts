import type { EventLog } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'
import { caughtUp } from './caught-up.ts'
import { CANCELLED, RECORD } from './run-attributes.ts'
import { parseRunRecord } from './run-record.ts'
import type { RunWrites } from './run-writes.ts'
import { noTakeovers, type Takeover } from './takeovers.ts'

export interface RunOwnershipOptions {
  readonly log: EventLog
  readonly writes: RunWrites
  readonly clock: Clock
  readonly epoch: number
  /** There where it was begun, or at least accepted, by another node. */
  readonly takeover: Takeover | undefined
  /** Resolves when this process is to work at the run no more. */
  readonly suspended: Promise<void>
  /** Called where another has taken the run over. */
  readonly onTaken: () => void
  /** Called where somebody has noted that the run is cancelled, perhaps several times. */
  readonly onCancelled: (message: string) => void
}

/** Whose a run is, as its log says: how a node makes it its own, lets go of it, and hears what others have noted. */
export class RunOwnership {
  readonly #options: RunOwnershipOptions
  #heeded: string | undefined

  constructor(options: RunOwnershipOptions) {
    this.#options = options
  }

  /** From now on the appends of an earlier process are refused, and all that it did append is known here. */
  async takeOver(record: string): Promise<void> {
    const { log, writes, clock, takeover, suspended } = this.#options
    await writes.note({ [RECORD]: record, ...takeover?.attributes })
    // Only now it is the last that there is: what was known before may lack what that one stored since.
    await caughtUp(log, { clock, end: suspended })
    this.#heed()
  }

  /** Lets go of it in good order, so that who is next need not fear it. */
  async letGo(): Promise<void> {
    const { log, epoch } = this.#options
    const attributes = noTakeovers(log)
    if (attributes !== undefined) await log.append([], { attributes, epoch })
  }

  /** Hears of what others note with its log, until the answer is called. */
  watch(): () => void {
    const { log } = this.#options
    const following = log.follow()
    // Where the store is away, the log follows once it is back.
    following.ready?.then(
      () => this.#heed(),
      () => undefined,
    )
    const unlisten = log.onAttributes(() => this.#heed())
    return () => {
      unlisten()
      following.end()
    }
  }

  #heed(): void {
    const { log, epoch, onTaken, onCancelled } = this.#options
    const record = log.attributes.get(RECORD)
    if (record !== this.#heeded) {
      this.#heeded = record
      if ((parseRunRecord(record)?.epoch ?? 0) > epoch) onTaken()
    }
    const cancelled = log.attributes.get(CANCELLED)
    if (cancelled !== undefined) onCancelled(cancelled)
  }
}
