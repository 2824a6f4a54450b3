import type { Clock } from '@tributary/protocol'
import type { Redis } from 'ioredis'
import type { RedisAddress } from '../redis-target.ts'
import { SubscribedChannel, type Subscription } from './subscribed-channel.ts'
import { SubscriberConnection } from './subscriber-connection.ts'
import type { SubscriberRoutes } from './subscriber-routes.ts'

export interface SubscriptionsInit {
  readonly isSharded: boolean
  readonly routes: SubscriberRoutes
  readonly connect: (address: RedisAddress | undefined) => Redis
  readonly clock: Clock
  readonly onFault: (reason: string) => void
}

/** How often each connection is asked whether it still has its subscriptions. */
const VERIFY_MS = 1_000

/**
 * All subscriptions of a process, over one connection, or one to each master of a Cluster that has a channel of ours.
 *
 * Messages are hints: one that comes is real, but while a connection is away some are missed. Who subscribed is then
 * told which channels, once they are subscribed again.
 */
export class Subscriptions {
  readonly #init: SubscriptionsInit
  readonly #channels = new Map<string, SubscribedChannel>()
  readonly #connections = new Map<string, SubscriberConnection>()
  readonly #lostListeners = new Set<(channels: readonly string[]) => void>()
  readonly #interruptedListeners = new Set<(channels: readonly string[]) => void>()
  readonly #endVerifying: () => void
  /** New ones, that are subscribed together at the end of this turn. */
  #unplaced: SubscribedChannel[] = []
  /** Told once an outage: what tries again says the same each time. */
  #hasToldFault = false

  constructor(init: SubscriptionsInit) {
    this.#init = init
    init.routes.onChanged(() => {
      this.#place(this.#channels.values())
      this.#closeUnused()
    })
    this.#endVerifying = init.clock.every(VERIFY_MS, () => this.#verify())
  }

  /**
   * Listens on a channel from now on, through all reconnects, until ended. Whether Redis is there now or not:
   * `ready` says when the server has acknowledged it.
   */
  subscribe(name: string, listener: (message: string) => void): Subscription {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = new SubscribedChannel(name)
      this.#channels.set(name, channel)
      this.#placeSoon(channel)
    }
    return channel.subscribe(listener, () => this.#leave(channel))
  }

  /**
   * Tells of channels on which messages are missed from now on, each time, before any message of a later connection.
   * `onInterrupted` tells of the same channels once they are subscribed again.
   */
  onLost(listener: (channels: readonly string[]) => void): () => void {
    this.#lostListeners.add(listener)
    return () => this.#lostListeners.delete(listener)
  }

  /**
   * Tells of channels on which messages may have been missed, each time, once they are subscribed again: what is
   * published from here on comes, what was before must be read elsewhere.
   */
  onInterrupted(listener: (channels: readonly string[]) => void): () => void {
    this.#interruptedListeners.add(listener)
    return () => this.#interruptedListeners.delete(listener)
  }

  /** Channels that somebody listens on, and how many of them the server has acknowledged. */
  get counts(): { readonly channels: number; readonly active: number } {
    let active = 0
    for (const channel of this.#channels.values()) if (channel.isActive) active += 1
    return { channels: this.#channels.size, active }
  }

  close(): void {
    this.#endVerifying()
    for (const connection of this.#connections.values()) connection.close()
    this.#connections.clear()
    this.#channels.clear()
  }

  #placeSoon(channel: SubscribedChannel): void {
    this.#unplaced.push(channel)
    if (this.#unplaced.length > 1) return
    queueMicrotask(() => {
      const channels = this.#unplaced
      this.#unplaced = []
      this.#place(channels.filter((one) => this.#channels.get(one.name) === one))
    })
  }

  /** Brings each to the server that has it. */
  #place(channels: Iterable<SubscribedChannel>): void {
    const { routes } = this.#init
    const moving = new Map<string, string[]>()
    for (const channel of channels) {
      const server = routes.serverOf(channel.name)
      if (server === undefined || server === channel.server) continue
      if (channel.server !== undefined) this.#connections.get(channel.server)?.remove([channel.name])
      this.#lose([channel.name])
      channel.server = server
      const names = moving.get(server)
      if (names === undefined) moving.set(server, [channel.name])
      else names.push(channel.name)
    }
    for (const [server, names] of moving) this.#connectionTo(server).add(names)
  }

  /** A server that is no longer a master would be connected to for ever. The last one stays: channels come and go. */
  #closeUnused(): void {
    const used = new Set([...this.#channels.values()].map(({ server }) => server))
    for (const [server, connection] of this.#connections) {
      if (used.has(server) || used.size === 0) continue
      this.#connections.delete(server)
      connection.close()
    }
  }

  #connectionTo(server: string): SubscriberConnection {
    const existing = this.#connections.get(server)
    if (existing !== undefined) return existing
    const { connect, routes, isSharded, clock, onFault } = this.#init
    const connection = new SubscriberConnection({
      redis: connect(routes.addressOf(server)),
      isSharded,
      groupOf: routes.groupOf.bind(routes),
      clock,
      events: {
        onMessage: (name, message) => this.#channels.get(name)?.tell(message),
        onActive: (names) => this.#activate(server, names),
        onLost: (names) => {
          this.#lose(names)
          routes.refresh()
        },
        onMoved: () => routes.refresh(),
        onFault: (reason) => {
          routes.refresh()
          if (!this.#hasToldFault) onFault(reason)
          this.#hasToldFault = true
        },
      },
    })
    this.#connections.set(server, connection)
    return connection
  }

  #activate(server: string, names: readonly string[]): void {
    this.#hasToldFault = false
    const interrupted: string[] = []
    for (const name of names) {
      const channel = this.#channels.get(name)
      if (channel?.server === server && channel.activate()) interrupted.push(name)
    }
    if (interrupted.length === 0) return
    for (const listener of [...this.#interruptedListeners]) listener(interrupted)
  }

  #lose(names: readonly string[]): void {
    const lost = names.filter((name) => this.#channels.get(name)?.lose())
    if (lost.length === 0) return
    for (const listener of [...this.#lostListeners]) listener(lost)
  }

  #leave(channel: SubscribedChannel): void {
    if (this.#channels.get(channel.name) !== channel) return
    this.#channels.delete(channel.name)
    if (channel.server !== undefined) this.#connections.get(channel.server)?.remove([channel.name])
  }

  #verify(): void {
    for (const connection of this.#connections.values()) connection.verify()
  }
}
