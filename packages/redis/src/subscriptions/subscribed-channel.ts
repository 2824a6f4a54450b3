/** What a listener holds of its channel. */
export interface Subscription {
  /** Resolves once the server has acknowledged it, so that no later message is missed; never rejects. */
  readonly ready: Promise<void>
  /** Whether the server has it now, as far as is known. */
  readonly isActive: boolean
  /** Idempotent. */
  end(): void
}

/** A channel, who listens on it, and whether the server has it. */
export class SubscribedChannel {
  readonly name: string
  /** Where it is subscribed, or is about to be. */
  server: string | undefined
  readonly #listeners = new Set<(message: string) => void>()
  #acknowledged = Promise.withResolvers<void>()
  #isActive = false
  #wasActive = false

  constructor(name: string) {
    this.name = name
  }

  get isActive(): boolean {
    return this.#isActive
  }

  subscribe(listener: (message: string) => void, onEmpty: () => void): Subscription {
    // Its own, so that one who listens twice is told twice, and ends one of them.
    const own = (message: string) => listener(message)
    this.#listeners.add(own)
    const isActive = () => this.#isActive && this.#listeners.has(own)
    return {
      ready: this.#acknowledged.promise,
      get isActive() {
        return isActive()
      },
      end: () => {
        if (this.#listeners.delete(own) && this.#listeners.size === 0) onEmpty()
      },
    }
  }

  tell(message: string): void {
    for (const listener of [...this.#listeners]) listener(message)
  }

  /** Whether it had been active before, so that something may have been missed. */
  activate(): boolean {
    if (this.#isActive) return false
    const isBack = this.#wasActive
    this.#isActive = true
    this.#wasActive = true
    this.#acknowledged.resolve()
    return isBack
  }

  /** Whether it was active, so that from here on something may be missed. */
  lose(): boolean {
    if (!this.#isActive) return false
    this.#isActive = false
    this.#acknowledged = Promise.withResolvers<void>()
    return true
  }
}
