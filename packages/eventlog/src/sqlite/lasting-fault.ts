import type { StoreHealth } from '../event-log.ts'
import { faultReason, isDamage, isDiskFailure } from './store-fault.ts'

/** What is wrong with the file and does not mend itself: it stays so until a restart, whatever is written. */
export class LastingFault {
  readonly #path: string
  #state: StoreHealth | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** The first that was found. */
  get state(): StoreHealth | undefined {
    return this.#state
  }

  /** Takes note of an error of a write, if that will not pass: a full disk does. */
  onWriteError(error: unknown): void {
    if (isDamage(error)) this.degrade(faultReason(error, this.#path))
  }

  /** Takes note of an error of a read, if that will not pass. No write finds out whether it has. */
  onReadError(error: unknown): void {
    if (isDamage(error) || isDiskFailure(error)) this.degrade(faultReason(error, this.#path))
  }

  degrade(reason: string): void {
    this.#state ??= { status: 'degraded', reason }
  }
}
