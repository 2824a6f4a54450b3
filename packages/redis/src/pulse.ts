import type { Clock } from '@tributary/protocol'
import { Cluster } from 'ioredis'
import type { Availability } from './availability.ts'
import type { RedisClient } from './connection-options.ts'
import { reasonOf, refusalOf, refusalOfWrites } from './redis-error.ts'

const BEAT_MS = 1_000
/** While it is away: the sooner it is known to be back, the better. */
const AWAY_BEAT_MS = 200
/**
 * Does nothing, and is refused wherever a write would be: a script that does not say of itself that it writes nothing
 * is taken for one that does. A PING is answered by a server that is full, or that became a replica.
 */
const WOULD_WRITE = '#!lua\nreturn 1'

/**
 * Asks each server, once a second, whether it is there and takes writes, so that an idle process knows of a fault before its next
 * command does; what never answers is ended by the connection's socket timeout.
 */
export class Pulse {
  readonly #client: RedisClient
  readonly #clock: Clock
  readonly #availability: Availability
  #cancel: () => void = () => undefined
  #lastFault = ''
  #lastBeatMs = Number.NEGATIVE_INFINITY
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
    client.on('ready', () => this.#beatSoon())
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
    const { status } = this.#availability
    const isWell = status.state === 'up' && status.refusesWrites === undefined
    const ms = isWell ? BEAT_MS : AWAY_BEAT_MS
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
    this.#lastBeatMs = this.#clock.elapsed()
    const answers = await Promise.allSettled(servers.map((server) => server.eval(WOULD_WRITE, 0)))
    this.#cancel()
    if (this.#hasEnded) return
    const faults = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    const fault = faults.find(isAway)
    const [refusal] = faults.flatMap((reason) => refusalOfWrites(textOf(reason)) ?? [])
    const isReady = this.#client.status === 'ready'
    if (fault !== undefined || !isReady) this.#down(refusalOf(textOf(fault)) ?? refusal ?? '')
    else this.#up(refusal)
    if (fault !== undefined || refusal !== undefined) this.#refresh()
    this.#next()
  }

  /** At once; not again and again where each connection ends with it, as those do to a server that became a replica. */
  #beatSoon(): void {
    if (this.#clock.elapsed() - this.#lastBeatMs < AWAY_BEAT_MS) this.#next()
    else this.#beat()
  }

  #up(refusesWrites: string | undefined): void {
    this.#lastFault = refusesWrites ?? ''
    this.#availability.up(refusesWrites)
  }

  #down(reason: string): void {
    if (this.#hasEnded) return
    // What the server says stands until it says something else: it may close the connection next.
    if (reason !== '') this.#lastFault = reason
    this.#availability.down(this.#lastFault || 'the connection was closed')
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

/** Whether an answer is that of a server that serves nobody; what else it says, it is there to say. */
function isAway(fault: unknown): boolean {
  const text = textOf(fault)
  const isReply = fault instanceof Error && fault.name === 'ReplyError'
  return !isReply || (refusalOf(text) !== undefined && refusalOfWrites(text) === undefined)
}

function textOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : ''
}
