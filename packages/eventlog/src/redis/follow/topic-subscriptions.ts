import type { Topic } from '@tributary/protocol'
import type { Subscription } from '@tributary/redis'
import type { LogKeys } from '../redis-keys.ts'

/** What a node knows of a topic that it follows. */
export interface FollowedTopic {
  count: number
  /** All of it after this number has been handed on; not known before the first comparison with the log. */
  completeFromN: number | undefined
  /** The last of it that was handed on. */
  lastN: number
  readonly channel: SubscribedTo
}

interface SubscribedTo {
  readonly name: string
  count: number
  readonly subscription: Subscription
}

type Subscribe = (channel: string) => Subscription

/** Which topics of a log are followed here, how often, and the channels that they are told on. */
export class TopicSubscriptions {
  readonly #keys: LogKeys
  readonly #subscribe: Subscribe
  readonly #topics = new Map<Topic, FollowedTopic>()
  readonly #channels = new Map<string, SubscribedTo>()
  #whole: FollowedTopic | undefined
  #hints: SubscribedTo | undefined

  constructor(keys: LogKeys, subscribe: Subscribe) {
    this.#keys = keys
    this.#subscribe = subscribe
  }

  get isEmpty(): boolean {
    return this.#whole === undefined && this.#topics.size === 0
  }

  /** Whether everything is followed, and what is known of that. */
  get whole(): FollowedTopic | undefined {
    return this.#whole
  }

  get(topic: Topic): FollowedTopic | undefined {
    return this.#topics.get(topic)
  }

  has(channel: string): boolean {
    return this.#channels.has(channel)
  }

  all(): FollowedTopic[] {
    return this.#whole === undefined ? [...this.#topics.values()] : [this.#whole, ...this.#topics.values()]
  }

  /**
   * Resolves once the server has all that was added; `undefined` where it has it already.
   *
   * @param onNew told of each that was not followed before.
   */
  add(
    topics: readonly Topic[] | undefined,
    onNew: (followed: FollowedTopic) => void,
  ): Promise<unknown> | undefined {
    const added: FollowedTopic[] = []
    if (topics === undefined) {
      if (this.#whole === undefined) {
        this.#whole = this.#followed(this.#keys.whole)
        onNew(this.#whole)
      }
      this.#whole.count += 1
      added.push(this.#whole)
    }
    for (const topic of topics ?? []) {
      let followed = this.#topics.get(topic)
      if (followed === undefined) {
        followed = this.#followed(this.#keys.channelOf(topic))
        this.#topics.set(topic, followed)
        onNew(followed)
      }
      followed.count += 1
      added.push(followed)
    }
    this.#hints ??= this.#channel(this.#keys.hints)
    const waiting = [this.#hints, ...added.map(({ channel }) => channel)]
      .map(({ subscription }) => subscription)
      .filter(({ isActive }) => !isActive)
    return waiting.length === 0 ? undefined : Promise.all(waiting.map(({ ready }) => ready))
  }

  /** @param onGone told of each that is not followed any more. */
  remove(topics: readonly Topic[] | undefined, onGone: (followed: FollowedTopic) => void): void {
    if (topics === undefined && this.#whole !== undefined) {
      this.#whole.count -= 1
      if (this.#whole.count === 0) {
        onGone(this.#whole)
        this.#leave(this.#whole.channel)
        this.#whole = undefined
      }
    }
    for (const topic of topics ?? []) {
      const followed = this.#topics.get(topic)
      if (followed === undefined) continue
      followed.count -= 1
      if (followed.count > 0) continue
      this.#topics.delete(topic)
      onGone(followed)
      this.#leave(followed.channel)
    }
    if (!this.isEmpty || this.#hints === undefined) return
    this.#leave(this.#hints)
    this.#hints = undefined
  }

  /** Ends all of them. */
  close(): void {
    for (const { subscription } of this.#channels.values()) subscription.end()
    this.#channels.clear()
    this.#topics.clear()
    this.#whole = undefined
    this.#hints = undefined
  }

  #followed(channel: string): FollowedTopic {
    return { count: 0, completeFromN: undefined, lastN: 0, channel: this.#channel(channel) }
  }

  #channel(name: string): SubscribedTo {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = { name, count: 0, subscription: this.#subscribe(name) }
      this.#channels.set(name, channel)
    }
    channel.count += 1
    return channel
  }

  #leave(channel: SubscribedTo): void {
    channel.count -= 1
    if (channel.count > 0) return
    this.#channels.delete(channel.name)
    channel.subscription.end()
  }
}
