/** The name of every key and channel of this package. */
export class ServiceKeys {
  readonly #prefix: string

  /** @param prefix `REDIS_PREFIX` */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** What is revoked, in which order it was said, and the number of the last change: in one slot. */
  get revocations(): string[] {
    const base = `${this.#prefix}:{revocations}`
    return [`${base}:said`, `${base}:order`, `${base}:number`]
  }

  /** Whose a session is. */
  session(sessionId: string): string {
    return `${this.#prefix}:session:{${sessionId}}`
  }

  /** The sessions of a user, by when they were used. */
  sessionsOf(userId: string): string {
    return `${this.#prefix}:sessions-of:{${userId}}`
  }

  /** Those of all who are anonymous. */
  get anonymousSessions(): string {
    return `${this.#prefix}:{anonymous-sessions}`
  }

  /** What is counted of one principal or address, in one class: each in a slot of its own. */
  rate(key: string): string {
    return `${this.#prefix}:rate:{${key}}`
  }
}
