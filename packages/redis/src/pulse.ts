import type { Clock } from '@tributary/protocol'
import { Cluster } from 'ioredis'
import type { Availability } from './availability.ts'
import type { RedisClient } from './connection-options.ts'
import { reasonOf, refusalOf } from './redis-error.ts'

const BEAT_MS = 1_000
/** While it is away: the sooner it is known to be back, the better. */
const AWAY_BEAT_MS = 200

/**
 * Asks each server, once a second, whether it is there, so that an idle process knows of a fault before its next
 * command does; what never answers is ended by the connection's socket timeout.
 */
export class Pulse {
  readonly #client: RedisClient
  readonly #clock: Clock
  readonly #availability: Availability
  #cancel: () => void = () => undefined
  #lastFault = ''
  #hasEnded = false

  constructor(init: { client: RedisClient; clock: Clock; availability: Availability }) {
    const { client, clock, availability } = init
    this.#client = client
    this.#clock = clock
    this.#availability = availability
    client.on('error', (error: Error) => {
      this.#lastFault = reasonOf(error)
      if (availability.status.state === 'down') availability.down(this.#lastFault)
    })
    client.on('ready', () => this.#beat())
    client.on('close', () => this.#down(''))
    client.on('-node', () => this.#nodeGone())
    availability.up()
    this.#next()
  }

  end(): void {
    this.#hasEnded = true
    this.#cancel()
  }

  #next(): void {
    this.#cancel()
    if (this.#hasEnded) return
    const ms = this.#availability.status.state === 'up' ? BEAT_MS : AWAY_BEAT_MS
    this.#cancel = this.#clock.after(ms, () => this.#beat())
  }

  /** Never two at a time: the next is set when this one has its answer. */
  async #beat(): Promise<void> {
    this.#cancel()
    // ioredis gives a connection up for good that is ended while it asks the Sentinels.
    if (this.#client.status === 'end') this.#client.connect().catch(() => undefined)
    const servers = this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client]
    // One that is silent may have been replaced already: known before its connection is given up.
    this.#cancel = this.#clock.after(BEAT_MS, () => this.#refresh())
    const answers = await Promise.allSettled(servers.map((server) => server.ping()))
    this.#cancel()
    if (this.#hasEnded) return
    const fault = answers.find((answer) => answer.status === 'rejected')
    const isReady = this.#client.status === 'ready'
    if (fault === undefined && isReady) this.#up()
    else this.#down(fault?.reason instanceof Error ? (refusalOf(fault.reason.message) ?? '') : '')
    if (fault !== undefined) this.#refresh()
    this.#next()
  }

  #up(): void {
    this.#lastFault = ''
    this.#availability.up()
  }

  #down(reason: string): void {
    if (this.#hasEnded) return
    this.#availability.down(reason || this.#lastFault || 'the connection was closed')
  }

  /** It failed, or has left the Cluster: the next beat tells. */
  #nodeGone(): void {
    if (this.#hasEnded) return
    this.#refresh()
    this.#beat()
  }

  #refresh(): void {
    if (this.#client instanceof Cluster && this.#client.status === 'ready') this.#client.refreshSlotsCache()
  }
}
