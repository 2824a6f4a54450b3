import type { Subscriptions } from '@tributary/redis'
import type { LogKeys } from '../redis-keys.ts'
import { TopicSubscriptions } from './topic-subscriptions.ts'

/** Who is told when messages on one of its channels are missed. */
export interface ChannelOwner {
  onChannel(channel: string, isThere: boolean): void
}

/** The subscriptions of all logs of a store, and whose each channel is. */
export class LogSubscriptions {
  readonly #subscriptions: Subscriptions
  readonly #owners = new Map<string, ChannelOwner>()
  readonly #ends: (() => void)[]

  constructor(subscriptions: Subscriptions) {
    this.#subscriptions = subscriptions
    this.#ends = [
      subscriptions.onLost((channels) => this.#tell(channels, false)),
      subscriptions.onInterrupted((channels) => this.#tell(channels, true)),
    ]
  }

  of(owner: ChannelOwner, keys: LogKeys, listener: (message: string) => void): TopicSubscriptions {
    return new TopicSubscriptions(keys, (channel) => {
      const subscription = this.#subscriptions.subscribe(channel, listener)
      this.#owners.set(channel, owner)
      return {
        ready: subscription.ready,
        get isActive() {
          return subscription.isActive
        },
        end: () => {
          if (this.#owners.get(channel) === owner) this.#owners.delete(channel)
          subscription.end()
        },
      }
    })
  }

  close(): void {
    for (const end of this.#ends) end()
    this.#owners.clear()
  }

  #tell(channels: readonly string[], isThere: boolean): void {
    for (const channel of channels) this.#owners.get(channel)?.onChannel(channel, isThere)
  }
}
