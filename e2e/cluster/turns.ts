/** Does one thing after the other, each begun once the one before it is over; a fault is told, and stops none. */
export class Turns {
  readonly #onFault: (fault: string) => void
  #last: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(onFault: (fault: string) => void) {
    this.#onFault = onFault
  }

  /** Resolves once it is done; nothing is done any more after `close`. */
  take(act: () => Promise<void>): Promise<void> {
    const done = this.#last.then(() => (this.#isClosed ? undefined : act()))
    this.#last = done.catch((error: unknown) => {
      this.#onFault(error instanceof Error ? error.message : String(error))
    })
    return this.#last
  }

  /** Resolves once all that was asked for so far is done. */
  settled(): Promise<void> {
    return this.#last
  }

  /** Begins nothing any more. */
  close(): void {
    this.#isClosed = true
  }
}
