import type { Clock } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import type { ClusterMeter } from '../cluster-meter.ts'
import { HEARTBEAT, LEAVE } from './cluster-scripts.ts'
import type { GoneClaims } from './gone-claims.ts'
import { type NodeRecord, nodesIn } from './node-record.ts'
import type { ClusterKeys } from './redis-keys.ts'
import type { RedisTime } from './redis-time.ts'

/** Heartbeats in the time of a lease: two may fail before it ends. */
const BEATS_PER_LEASE = 3
/** How often it is looked whether this node may be back, while others are being told that it is gone. */
const CLEARING_RETRY_MS = 200

export interface LeaseInit {
  readonly nodeId: string
  readonly leaseMs: number
  readonly redis: RedisConnections
  readonly keys: ClusterKeys
  readonly time: RedisTime
  readonly clock: Clock
  readonly meter: ClusterMeter
  readonly claims: GoneClaims
  /** What goes with the next heartbeat. */
  readonly record: () => NodeRecord
  /** The lease holds, and Redis answers. */
  readonly onRenewed: () => void
  /** The lease had ended, and this node is there again. Called again at the next heartbeat where it rejects. */
  readonly onRejoined: () => Promise<void>
  readonly onError: (error: unknown) => void
}

/** This node's place among the living, kept by heartbeat. */
export class Lease {
  readonly #init: LeaseInit
  readonly #endUp: () => void
  #startedAt: number | undefined
  // From when on it has its lease; another where that had ended.
  #since: number | undefined
  #hasBegun = false
  #cancelNext: (() => void) | undefined
  #beating: Promise<void> | undefined
  #isAgain = false
  #hasToRejoin = false
  #isRejoining = false
  #isEnded = false

  constructor(init: LeaseInit) {
    this.#init = init
    // Its lease may be about to end.
    this.#endUp = init.redis.onUp(() => this.beatSoon())
  }

  /** Takes the lease. @throws as Redis, where it cannot be had. */
  async begin(): Promise<void> {
    const nextMs = await this.#beat()
    this.#hasBegun = true
    this.#next(nextMs)
  }

  /** A heartbeat at once, or once the one under way is over. */
  beatSoon(): void {
    if (this.#isEnded || !this.#hasBegun) return
    if (this.#beating !== undefined) {
      this.#isAgain = true
      return
    }
    this.#cancelNext?.()
    this.#beating = this.#beatAndPlan()
  }

  /** Gives it up: somebody is told that this node is gone. Idempotent. */
  async end(): Promise<void> {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#endUp()
    this.#cancelNext?.()
    await this.#beating
    const { redis, keys, nodeId, claims, record } = this.#init
    const { leases, goneGateway, goneWorker } = keys
    await redis.run(
      LEAVE,
      [leases, goneGateway, goneWorker, keys.claims],
      [nodeId, record().service, ...claims.held],
    )
  }

  async #beatAndPlan(): Promise<void> {
    const { leaseMs, meter, onError } = this.#init
    let nextMs = leaseMs / BEATS_PER_LEASE
    try {
      nextMs = await this.#beat()
    } catch (error) {
      meter.heartbeat('failed')
      onError(error)
    }
    this.#beating = undefined
    if (this.#isEnded) return
    if (this.#isAgain) {
      this.#isAgain = false
      return this.beatSoon()
    }
    this.#next(nextMs)
  }

  #next(delayMs: number): void {
    this.#cancelNext = this.#init.clock.after(delayMs, () => this.beatSoon())
  }

  /** Answers when the next is due, in ms from now. */
  async #beat(): Promise<number> {
    const { redis, keys, nodeId, leaseMs, claims, time, meter, record } = this.#init
    const own = record()
    const held = claims.held
    const [state, now, startedAt, since, lost, taken] = await redis.run(
      HEARTBEAT,
      [keys.leases, keys.nodes, keys.goneGateway, keys.goneWorker, keys.claims, keys.beatAt],
      [nodeId, own.service, leaseMs, JSON.stringify(own), this.#startedAt ?? '', claims.room, ...held],
      { again: true },
    )
    time.learn(now)
    if (state === 'clearing') return Math.min(CLEARING_RETRY_MS, leaseMs / BEATS_PER_LEASE)
    meter.heartbeat('renewed')
    if (this.#since !== undefined && this.#since !== since) {
      meter.leaseLost()
      this.#hasToRejoin = true
    }
    this.#since = since
    this.#startedAt ??= startedAt
    for (const gone of lost) claims.drop(gone)
    for (const node of nodesIn(taken)) claims.take(node)
    this.#rejoin()
    this.#init.onRenewed()
    return leaseMs / BEATS_PER_LEASE
  }

  /** Heartbeats go on meanwhile. */
  #rejoin(): void {
    if (!this.#hasToRejoin || this.#isRejoining) return
    this.#hasToRejoin = false
    this.#isRejoining = true
    this.#init
      .onRejoined()
      .catch((error: unknown) => {
        this.#hasToRejoin = true
        this.#init.onError(error)
      })
      .finally(() => {
        this.#isRejoining = false
      })
  }
}
