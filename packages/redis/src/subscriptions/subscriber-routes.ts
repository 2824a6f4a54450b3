import slotOf from 'cluster-key-slot'
import type { Cluster } from 'ioredis'
import type { RedisAddress } from '../redis-target.ts'

/** Which server a channel is subscribed at. */
export interface SubscriberRoutes {
  /** A name for the server; undefined where it is not known now. */
  serverOf(channel: string): string | undefined
  /** Where it is; undefined where there is only one. */
  addressOf(server: string): RedisAddress | undefined
  /** What may stand in one command together. */
  groupOf(channel: string): number
  /** Asks which server has what; `onChanged` tells. */
  refresh(): void
  onChanged(listener: () => void): void
}

/** One server, or one master at a time. */
export const singleRoutes: SubscriberRoutes = {
  serverOf: () => 'the server',
  addressOf: () => undefined,
  groupOf: () => 0,
  refresh: () => undefined,
  onChanged: () => undefined,
}

/** A Cluster: a channel is published at the master of its slot, and nowhere else. */
export class ClusterRoutes implements SubscriberRoutes {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  serverOf(channel: string): string | undefined {
    return this.#cluster.slots[slotOf(channel)]?.[0]
  }

  addressOf(server: string): RedisAddress {
    const colon = server.lastIndexOf(':')
    return { host: server.slice(0, colon), port: Number(server.slice(colon + 1)) }
  }

  groupOf(channel: string): number {
    return slotOf(channel)
  }

  refresh(): void {
    this.#cluster.refreshSlotsCache()
  }

  onChanged(listener: () => void): void {
    this.#cluster.on('refresh', () => {
      // Told before the slots are filled in.
      queueMicrotask(listener)
    })
  }
}
