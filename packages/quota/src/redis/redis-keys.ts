/** The name of every key of one quota. */
export class QuotaKeys {
  readonly #base: string

  /** @param prefix `REDIS_PREFIX`. @param name of the quota, as `gateway:runs`. */
  constructor(prefix: string, name: string) {
    this.#base = `${prefix}:quota:${name}`
  }

  /** What a user holds: each user in a slot of his own. */
  user(userId: string): string {
    return `${this.#base}:user:{${userId}}`
  }

  /** The users of whom a node holds something. */
  node(nodeId: string): string {
    return `${this.#base}:node:{${nodeId}}`
  }
}
