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

  /** What is counted of one principal or address, in one class: each in a slot of its own. */
  rate(key: string): string {
    return `${this.#prefix}:rate:{${key}}`
  }
}
