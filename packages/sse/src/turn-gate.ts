/** Steps of one turn of the event loop: some ten milliseconds of opening and replaying. */
const DEFAULT_PER_TURN = 32

/**
 * Spreads what many ask for at once over the turns of the event loop, in the order in which they came: so that ten
 * thousand readers who come back together do not keep the process from answering anybody else.
 */
export class TurnGate {
  readonly #perTurn: number
  readonly #waiting: (() => void)[] = []
  #taken = 0
  #turning = false

  constructor(perTurn: number = DEFAULT_PER_TURN) {
    this.#perTurn = perTurn
  }

  /** Takes a step of this turn: `undefined` where there is one, else what resolves in the turn that has. */
  take(): Promise<void> | undefined {
    this.#turnLater()
    if (this.#taken < this.#perTurn && this.#waiting.length === 0) {
      this.#taken += 1
      return undefined
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #turnLater(): void {
    if (this.#turning) return
    this.#turning = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#turning = false
    const next = this.#waiting.splice(0, this.#perTurn)
    this.#taken = next.length
    if (next.length > 0) this.#turnLater()
    for (const resolve of next) resolve()
  }
}
