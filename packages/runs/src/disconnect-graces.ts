import type { Clock } from '@tributary/protocol'
import type { Run } from './run.ts'

/** What is left to runs that end with their readers, once nobody reads them. */
export class DisconnectGraces {
  readonly #clock: Clock
  readonly #graceMs: number
  readonly #onOver: (run: Run) => void
  readonly #cancels = new Map<Run, () => void>()

  /** @param onOver called where nobody came back in time. */
  constructor(clock: Clock, graceMs: number, onOver: (run: Run) => void) {
    this.#clock = clock
    this.#graceMs = graceMs
    this.#onOver = onOver
  }

  /** The last reader of a run has left, or none has come back since a restart. */
  begin(run: Run): void {
    if (run.record.onDisconnect === 'cancel') this.#wait(run, this.#graceMs)
  }

  #wait(run: Run, ms: number): void {
    this.end(run)
    const over = () => {
      this.#cancels.delete(run)
      if (run.readerCount > 0) return
      // It may be read at another node, which says until when that counts.
      const leftMs = run.readElsewhereUntil - this.#clock.now()
      if (leftMs > 0) this.#wait(run, leftMs)
      else this.#onOver(run)
    }
    this.#cancels.set(run, this.#clock.after(ms, over))
  }

  end(run: Run): void {
    this.#cancels.get(run)?.()
    this.#cancels.delete(run)
  }
}
