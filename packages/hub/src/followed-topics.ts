import { type Following, NOTHING_TO_FOLLOW, type ReadableLog } from '@tributary/eventlog'
import type { Topic } from '@tributary/protocol'

const NO_TOPICS: ReadonlySet<Topic> = new Set()

/** What the log follows for one connection. */
export class FollowedTopics {
  readonly #log: ReadableLog
  readonly #topics: ReadonlySet<Topic>
  readonly #following: Following
  // Most connections stay with what they began with. What one leaves of that stays followed until it ends.
  #added: Map<Topic, Following> | undefined
  #ended = false

  constructor(log: ReadableLog, topics: readonly Topic[]) {
    this.#log = log
    this.#following = log.follow(topics)
    // A log that hears of everything anyway is asked no more, and nothing is kept for it.
    this.#topics = this.#following === NOTHING_TO_FOLLOW ? NO_TOPICS : new Set(topics)
  }

  /** Resolves once what it began with is followed; `undefined` where it is. @throws StoreUnavailableError */
  get ready(): Promise<void> | undefined {
    return this.#following.ready
  }

  /** Follows one more. Resolves once it is followed; `undefined` where it is. @throws StoreUnavailableError */
  add(topic: Topic): Promise<void> | undefined {
    if (this.#ended || this.#following === NOTHING_TO_FOLLOW || this.#topics.has(topic)) return undefined
    this.#added ??= new Map()
    let following = this.#added.get(topic)
    if (following === undefined) {
      following = this.#log.follow([topic])
      this.#added.set(topic, following)
    }
    // Should it fail, another who adds it is to try anew.
    return following.ready?.catch((error: unknown) => {
      this.remove(topic)
      throw error
    })
  }

  remove(topic: Topic): void {
    this.#added?.get(topic)?.end()
    this.#added?.delete(topic)
  }

  end(): void {
    this.#ended = true
    this.#following.end()
    for (const following of this.#added?.values() ?? []) following.end()
    this.#added = undefined
  }
}
