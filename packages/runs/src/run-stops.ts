import { type RunAbort, RunSuspendedError } from './run-error.ts'

/** The ways in which the work of a run is told to stop. */
export class RunStops {
  readonly #abort = new AbortController()
  readonly #drain = new AbortController()
  readonly #suspend = Promise.withResolvers<void>()
  #isSuspended = false

  /** Aborted when the work is to stop: with a `RunAbort`, or a `RunSuspendedError`. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Aborted when the work is to begin nothing more. */
  get draining(): AbortSignal {
    return this.#drain.signal
  }

  /** Resolves when this process is to work at the run no more. */
  get suspended(): Promise<void> {
    return this.#suspend.promise
  }

  get isSuspended(): boolean {
    return this.#isSuspended
  }

  abort(reason: RunAbort): void {
    this.#abort.abort(reason)
  }

  drain(): void {
    this.#drain.abort(new RunSuspendedError())
  }

  /** @param before called with the reason the first time, before anybody hears of it. */
  suspend(before: (reason: RunSuspendedError) => void): void {
    if (this.#isSuspended) return
    this.#isSuspended = true
    const reason = new RunSuspendedError()
    before(reason)
    this.#suspend.resolve()
    if (!this.signal.aborted) this.#abort.abort(reason)
  }
}
