import { ProblemError } from '@tributary/protocol'
import type { StreamCredential } from './stream-credential.ts'

/** Polls that wait at a time, unless told otherwise. */
export const DEFAULT_MAX_WAITING_POLLS = 20_000
/** Seconds until one that found no room should try again. */
const FULL_RETRY_AFTER_S = 5

/** The polls that wait for an event: so many at most, and all of them can be answered at once. */
export class WaitingPolls {
  readonly #max: number
  readonly #ends = new Map<() => void, StreamCredential | undefined>()
  #closed = false

  /** @param max default `DEFAULT_MAX_WAITING_POLLS`. */
  constructor(max = DEFAULT_MAX_WAITING_POLLS) {
    this.#max = max
  }

  get size(): number {
    return this.#ends.size
  }

  /**
   * Adds one that begins to wait; the answer takes it away again.
   *
   * @param end called where it is to wait no longer. @param credential what it was asked with.
   * @throws ProblemError `overloaded` where there are too many.
   */
  add(end: () => void, credential?: StreamCredential): () => void {
    if (this.#closed) {
      end()
      return () => undefined
    }
    if (this.#ends.size >= this.#max) {
      throw new ProblemError(
        'overloaded',
        'Too many polls are waiting; try again in a moment, or without waiting.',
        {
          retryAfterS: FULL_RETRY_AFTER_S,
        },
      )
    }
    // A function of its own, so that each is there once.
    const added = () => end()
    this.#ends.set(added, credential)
    return () => void this.#ends.delete(added)
  }

  /** Answers all who wait now. */
  endAll(): void {
    for (const end of this.#ends.keys()) end()
  }

  /** Answers those that wait now and were asked with such a credential. */
  endWhere(isEnded: (credential: StreamCredential | undefined) => boolean): void {
    for (const [end, credential] of this.#ends) if (isEnded(credential)) end()
  }

  /** From here on nobody waits; the answer are those who do, each to be called once. */
  close(): (() => void)[] {
    this.#closed = true
    return [...this.#ends.keys()]
  }
}
