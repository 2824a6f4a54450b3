import type { Clock } from '@tributary/protocol'
import type { Redis } from 'ioredis'
import { reasonOf } from '../redis-error.ts'

export interface SubscriberEvents {
  onMessage(channel: string, message: string): void
  /** The server has acknowledged these. */
  onActive(channels: readonly string[]): void
  /** Messages on these are missed from now on, until they are active again. */
  onLost(channels: readonly string[]): void
  /** Another server may have become the one for some channels. */
  onMoved(): void
  onFault(reason: string): void
}

export interface SubscriberConnectionInit {
  /** Of its own, with the offline queue and the resubscribing of ioredis off. */
  readonly redis: Redis
  readonly isSharded: boolean
  /** What may stand in one command: of a Cluster, only channels of one slot. */
  readonly groupOf: (channel: string) => number
  readonly clock: Clock
  readonly events: SubscriberEvents
}

/** Channels in one command at most. */
const MAX_CHANNELS = 500
/** How long a server that refused a subscription is left alone. */
const REFUSED_RETRY_MS = 1_000

/**
 * One connection that subscribes, and knows of each channel whether the server has it.
 *
 * ioredis resubscribes by itself, but says neither when that is done nor when it failed, forgets what the server ended,
 * and takes a connection for whole whose subscriptions are gone. So it is done here, and held against what the
 * server counts.
 */
export class SubscriberConnection {
  readonly #redis: Redis
  readonly #init: SubscriberConnectionInit
  readonly #wanted = new Set<string>()
  /** Sent in this connection, and not refused: what the server counts once it has read it. By which command, too. */
  readonly #sent = new Map<string, object>()
  readonly #active = new Set<string>()
  #cancelRetry: (() => void) | undefined
  #isClosed = false

  constructor(init: SubscriberConnectionInit) {
    this.#init = init
    this.#redis = init.redis
    const { events } = init
    this.#redis.on(init.isSharded ? 'smessage' : 'message', (channel: string, message: string) =>
      events.onMessage(channel, message),
    )
    this.#redis.on('ready', () => this.#send([...this.#wanted]))
    this.#redis.on('close', () => this.#lose())
    this.#redis.on('error', (error: Error) => events.onFault(reasonOf(error)))
    // Pushed by a Cluster whose slot went elsewhere, and its answer where it had gone before.
    this.#redis.on('moved', () => events.onMoved())
  }

  /** Subscribes, at once or with the next connection. */
  add(channels: readonly string[]): void {
    for (const channel of channels) this.#wanted.add(channel)
    if (this.#redis.status === 'ready') this.#send(channels)
  }

  /** Nothing more is told of these. */
  remove(channels: readonly string[]): void {
    for (const channel of channels) {
      this.#wanted.delete(channel)
      this.#sent.delete(channel)
      this.#active.delete(channel)
    }
    if (this.#redis.status !== 'ready') return
    for (const batch of this.#batches(channels)) {
      const ended = this.#init.isSharded
        ? this.#redis.sunsubscribe(...batch)
        : this.#redis.unsubscribe(...batch)
      // With the connection go its subscriptions; and a server that they have left has ended them already.
      ended.catch(() => undefined)
    }
  }

  /**
   * Asks the server how many subscriptions this connection has. Where it has lost some, or does not answer, the
   * connection is made anew.
   */
  async verify(): Promise<void> {
    // ioredis gives a connection up for good that is ended while it asks the Sentinels.
    if (this.#redis.status === 'end' && !this.#isClosed) this.#redis.connect().catch(() => undefined)
    if (this.#redis.status !== 'ready') return
    const expected = this.#sent.size
    try {
      // A server without RESP3 takes little else than this from who subscribes.
      const isSubscriber = this.#redis.mode === 'subscriber'
      const info = isSubscriber ? await this.#redis.ping() : await this.#redis.client('INFO')
      const counted = (this.#init.isSharded ? / ssub=(\d+)/ : / sub=(\d+)/).exec(String(info))?.[1]
      if (counted === undefined || Number(counted) === expected) return
    } catch {
      // No answer in time: the connection is given up by its socket timeout.
      return
    }
    this.#init.events.onMoved()
    if (this.#redis.status === 'ready') this.#redis.disconnect(true)
  }

  close(): void {
    this.#isClosed = true
    this.#cancelRetry?.()
    this.#wanted.clear()
    this.#redis.disconnect()
  }

  #send(channels: readonly string[]): void {
    for (const batch of this.#batches(channels)) {
      const command = {}
      for (const channel of batch) this.#sent.set(channel, command)
      // Those for which another has been sent since, or which nobody wants any more, are left out.
      const answered = () => batch.filter((channel) => this.#sent.get(channel) === command)
      const acknowledged = this.#init.isSharded
        ? this.#redis.ssubscribe(...batch)
        : this.#redis.subscribe(...batch)
      acknowledged.then(
        () => this.#acknowledge(answered()),
        (error: Error) => this.#refused(answered(), error),
      )
    }
  }

  #acknowledge(channels: readonly string[]): void {
    for (const channel of channels) this.#active.add(channel)
    if (channels.length > 0) this.#init.events.onActive(channels)
  }

  #refused(channels: readonly string[], error: Error): void {
    for (const channel of channels) this.#sent.delete(channel)
    if (this.#isClosed || channels.length === 0 || this.#redis.status !== 'ready') return
    if (error.name !== 'ReplyError') {
      this.#redis.disconnect(true)
      return
    }
    if (!error.message.startsWith('MOVED')) this.#init.events.onFault(reasonOf(error))
    this.#cancelRetry ??= this.#init.clock.after(REFUSED_RETRY_MS, () => {
      this.#cancelRetry = undefined
      if (this.#redis.status === 'ready') this.#send([...this.#wanted].filter((one) => !this.#sent.has(one)))
    })
  }

  #lose(): void {
    const lost = [...this.#active]
    this.#active.clear()
    this.#sent.clear()
    if (lost.length > 0) this.#init.events.onLost(lost)
  }

  #batches(channels: readonly string[]): string[][] {
    const groups = Map.groupBy(channels, this.#init.groupOf)
    return [...groups.values()].flatMap((group) =>
      Array.from({ length: Math.ceil(group.length / MAX_CHANNELS) }, (_, index) =>
        group.slice(index * MAX_CHANNELS, (index + 1) * MAX_CHANNELS),
      ),
    )
  }
}
