/** How many may do something at a time, and how many wait for it, first come first served. */
export class ThreadSlots {
  readonly #maxWaiting: number
  readonly #waiting = new Set<() => void>()
  #free: number

  constructor(slots: number, maxWaiting: number) {
    this.#free = slots
    this.#maxWaiting = maxWaiting
  }

  /**
   * Waits for a slot; the answer gives it back.
   *
   * @throws the error of `whenFull` where too many wait already; the reason of `signal` once that is aborted.
   */
  async acquire(signal: AbortSignal, whenFull: () => Error): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free -= 1
    else if (this.#waiting.size >= this.#maxWaiting) throw whenFull()
    else await this.#turn(signal)
    return () => this.#release()
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#waiting.delete(onTurn)
        reject(signal.reason)
      }
      this.#waiting.add(onTurn)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** A slot that is given back goes to the next who waits, without being free in between. */
  #release(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free += 1
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
