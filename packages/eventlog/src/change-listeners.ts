/** Those who are told that something has changed. A listener must not throw. */
export class ChangeListeners {
  readonly #listeners = new Set<() => void>()

  get size(): number {
    return this.#listeners.size
  }

  /** The answer removes it, and may be called twice. */
  add(listener: () => void): () => void {
    // A function of its own, so that the same listener added twice is told twice and removed once.
    const added = () => listener()
    this.#listeners.add(added)
    return () => void this.#listeners.delete(added)
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
