import type { Position, Topic } from '@tributary/protocol'
import type { LogEntry } from '../../event-log.ts'
import { indexedTopics } from '../../log-window.ts'
import type { ToldEntry } from './log-message.ts'
import type { FollowedTopic, TopicSubscriptions } from './topic-subscriptions.ts'

/** What of the followed topics of a log has been handed on here. */
export class HandedOn {
  readonly #subscriptions: TopicSubscriptions
  // Everything of the followed topics up to here has been handed on, at the last comparison.
  #compared: Position

  constructor(subscriptions: TopicSubscriptions, head: Position) {
    this.#subscriptions = subscriptions
    this.#compared = head
  }

  get compared(): Position {
    return this.#compared
  }

  /** The log has been compared, and everything up to here been handed on. */
  compareTo(head: Position): void {
    this.#compared = head
  }

  /** The log is another, or has lost something, and stands here. */
  rewound(head: Position): void {
    const { n } = head
    this.#compared = head
    for (const followed of this.#subscriptions.all()) {
      followed.lastN = 0
      if (followed.completeFromN !== undefined) followed.completeFromN = n
    }
  }

  /** After which number all of these topics has been handed on; infinite where that is not so. */
  completeFromN(topics: readonly Topic[] | undefined): number {
    const { whole } = this.#subscriptions
    if (whole !== undefined) return whole.completeFromN ?? Number.POSITIVE_INFINITY
    if (topics === undefined) return Number.POSITIVE_INFINITY
    let fromN = 0
    for (const topic of topics) {
      const n = this.#subscriptions.get(topic)?.completeFromN ?? Number.POSITIVE_INFINITY
      if (n > fromN) fromN = n
    }
    return fromN
  }

  /** What of these topics lies before this number is not all here. */
  overtaken(topics: readonly Topic[], n: number): void {
    for (const topic of topics) {
      const followed = this.#subscriptions.get(topic)
      if (followed === undefined) continue
      followed.completeFromN = n
    }
  }

  /** Up to which number nothing of a topic is missing here. */
  knownN({ lastN, completeFromN = 0 }: FollowedTopic): number {
    return Math.max(lastN, completeFromN, this.#compared.n)
  }

  /** Whether something of one of its topics was before it that has not been handed on. @param toldN comes with it. */
  isBehindHole({ topics, position }: LogEntry, { previous }: ToldEntry, toldN: number): boolean {
    const isKnown = (n: number, followed: FollowedTopic | undefined) =>
      followed?.completeFromN === undefined || n <= Math.max(toldN, this.knownN(followed))
    if (!isKnown(position.n - 1, this.#subscriptions.whole)) return true
    return topics.some((topic, i) => !isKnown(previous[i] ?? 0, this.#subscriptions.get(topic)))
  }

  /** Notes an entry that is handed on. Answers whether it is followed. */
  note({ topics, position: { n } }: LogEntry): boolean {
    const { whole } = this.#subscriptions
    if (whole !== undefined) whole.lastN = n
    let isFollowed = whole !== undefined
    for (const topic of indexedTopics(topics)) {
      const followed = this.#subscriptions.get(topic)
      if (followed === undefined) continue
      followed.lastN = n
      isFollowed = true
    }
    return isFollowed
  }
}
