/** Whether Redis can be used, since when (ms since 1970), and if not, why. */
export type RedisStatus =
  | {
      readonly state: 'up'
      readonly since: number
      /** There where it answers and takes nothing new, as it has no room: why. What it has can be read. */
      readonly refusesWrites?: string
    }
  | { readonly state: 'down'; readonly since: number; readonly reason: string }

/** Whether something is there, and who wants to know when that changes. */
export class Availability {
  readonly #now: () => number
  readonly #upListeners = new Set<() => void>()
  readonly #downListeners = new Set<(reason: string) => void>()
  readonly #refusalListeners = new Set<(reason: string | undefined) => void>()
  #status: RedisStatus

  constructor(now: () => number, reason: string) {
    this.#now = now
    this.#status = { state: 'down', since: now(), reason }
  }

  get status(): RedisStatus {
    return this.#status
  }

  onUp(listener: () => void): () => void {
    return added(this.#upListeners, listener)
  }

  onDown(listener: (reason: string) => void): () => void {
    return added(this.#downListeners, listener)
  }

  /** Told each time that it begins to refuse writes, with the reason, and that it takes them again. */
  onRefusal(listener: (reason: string | undefined) => void): () => void {
    return added(this.#refusalListeners, listener)
  }

  /** It answers. @param refusesWrites why it takes nothing new, where it does not. */
  up(refusesWrites?: string): void {
    const before = this.#status
    const since = before.state === 'up' ? before.since : this.#now()
    this.#status = { state: 'up', since, ...(refusesWrites === undefined ? {} : { refusesWrites }) }
    if (before.state === 'down') for (const listener of [...this.#upListeners]) listener()
    const didRefuse = before.state === 'up' && before.refusesWrites !== undefined
    if (didRefuse === (refusesWrites !== undefined)) return
    for (const listener of [...this.#refusalListeners]) listener(refusesWrites)
  }

  /** Another reason while it is down is no other event. */
  down(reason: string): void {
    const wasUp = this.#status.state === 'up'
    this.#status = { state: 'down', since: wasUp ? this.#now() : this.#status.since, reason }
    if (wasUp) for (const listener of [...this.#downListeners]) listener(reason)
  }
}

function added<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
