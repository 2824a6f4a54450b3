import { OnceConflictError, type OnceKey } from '@tributary/eventlog'
import { ProblemError } from '@tributary/protocol'

/** Keys that are remembered at most; past it the oldest are as if they had never been used. */
const MAX_KEYS = 200_000

/** What a key that was used for another run is answered with. */
export function onceConflict(key: string): ProblemError {
  return new ProblemError(
    'idempotency_conflict',
    'The Idempotency-Key was used for another run; take a new one for a new request',
    { cause: new OnceConflictError(key) },
  )
}

/** The runs that were asked for with a key, by the key. Each is remembered for the window of who asks. */
export class OnceRuns {
  // In the order of their start.
  readonly #byKey = new Map<string, KeyedRun>()

  /**
   * The run that a key started within its window, or is about to.
   *
   * @throws ProblemError `idempotency_conflict` where it was used for something else.
   */
  find({ key, fingerprint, windowMs }: OnceKey, nowMs: number): KeyedRun | undefined {
    const keyed = this.#byKey.get(key)
    if (keyed === undefined || keyed.startedAt <= nowMs - windowMs) return undefined
    if (keyed.fingerprint === fingerprint) return keyed
    throw onceConflict(key)
  }

  /** Notes a run; where it comes to nothing, its key is free again. */
  add(key: string, keyed: KeyedRun): void {
    // Anew, so that the order is that of their start.
    this.#byKey.delete(key)
    this.#byKey.set(key, keyed)
    void keyed.accepted.then((accepted) => {
      if (!accepted && this.#byKey.get(key) === keyed) this.#byKey.delete(key)
    })
    const [oldest] = this.#byKey.keys()
    if (oldest !== undefined && this.#byKey.size > MAX_KEYS) this.#byKey.delete(oldest)
  }

  /** Lets go of those that were started before. */
  forgetBefore(ms: number): void {
    for (const [key, { startedAt }] of this.#byKey) {
      if (startedAt >= ms) return
      this.#byKey.delete(key)
    }
  }
}

export interface KeyedRun {
  readonly fingerprint: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly runId: string
  /** Whether it was, once that is known. */
  readonly accepted: Promise<boolean>
}
