/** Whether Redis can be used, since when (ms since 1970), and if not, why. */
export type RedisStatus =
  | { readonly state: 'up'; readonly since: number }
  | { readonly state: 'down'; readonly since: number; readonly reason: string }

/** Whether something is there, and who wants to know when that changes. */
export class Availability {
  readonly #now: () => number
  readonly #upListeners = new Set<() => void>()
  readonly #downListeners = new Set<(reason: string) => void>()
  #status: RedisStatus

  constructor(now: () => number, reason: string) {
    this.#now = now
    this.#status = { state: 'down', since: now(), reason }
  }

  get status(): RedisStatus {
    return this.#status
  }

  onUp(listener: () => void): () => void {
    this.#upListeners.add(listener)
    return () => this.#upListeners.delete(listener)
  }

  onDown(listener: (reason: string) => void): () => void {
    this.#downListeners.add(listener)
    return () => this.#downListeners.delete(listener)
  }

  up(): void {
    if (this.#status.state === 'up') return
    this.#status = { state: 'up', since: this.#now() }
    for (const listener of [...this.#upListeners]) listener()
  }

  /** Another reason while it is down is no other event. */
  down(reason: string): void {
    const wasUp = this.#status.state === 'up'
    this.#status = { state: 'down', since: wasUp ? this.#now() : this.#status.since, reason }
    if (wasUp) for (const listener of [...this.#downListeners]) listener(reason)
  }
}
