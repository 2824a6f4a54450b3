/** How long reading may take of one turn of the event loop, in ms. */
const TURN_MS = 2

/** Lets many read from the disk without holding up everybody else: after a while, the next waits for its turn. */
export class ReadTurns {
  readonly #waiting: (() => void)[] = []
  #spentMs = 0
  #next: NodeJS.Immediate | undefined

  async run<T>(read: () => T): Promise<T> {
    if (this.#spentMs >= TURN_MS || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    const startedAt = performance.now()
    try {
      return read()
    } finally {
      this.#spentMs += performance.now() - startedAt
      this.#next ??= setImmediate(() => this.#begin())
      if (this.#spentMs < TURN_MS) this.#waiting.shift()?.()
    }
  }

  #begin(): void {
    this.#next = undefined
    this.#spentMs = 0
    this.#waiting.shift()?.()
  }
}
