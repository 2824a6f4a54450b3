import { type ErrorCode, ProblemError } from '@tributary/protocol'
import { networkOf } from './network.ts'

/** Streams at a time, unless told otherwise. */
export const DEFAULT_MAX_STREAMS = 10_000

/** Seconds until who found no room should try again: places are given back all the time, an address's more slowly. */
const FULL_RETRY_AFTER_S = 5
const CLIENT_RETRY_AFTER_S = 10

/** How many streams there may be. 0 is no limit. */
export interface StreamLimits {
  /** Streams at a time, those that are being opened included. Default 10,000; beyond it `too_many_connections`. */
  readonly maxStreams?: number
  /** The same from one address, or one /64 of IPv6. Default 0; beyond it `address_connection_limit`. */
  readonly maxStreamsPerAddress?: number
  /** New streams in a second; after a quiet second so many at once. Default 0; beyond it `connect_rate_limited`. */
  readonly streamsPerS?: number
}

/** Whose place it is. */
export interface AdmitOptions {
  /** Where the reader is. Default: nowhere, and no limit of an address holds. */
  readonly address?: string
  /** Places that will be given back for it, once it is taken. */
  readonly instead?: readonly StreamSlot[]
}

/** The place of one stream. */
export interface StreamSlot {
  /** Gives it back. The second call does nothing. */
  release(): void
}

/** Lets streams in as long as there is room for them, before anything is made for one. */
export class StreamAdmission {
  readonly limits: Required<StreamLimits>
  readonly #elapsedMs: () => number
  readonly #byNetwork = new Map<string, number>()
  readonly #taken = new Set<Slot>()
  #lastNumber = 0
  // What is left of a burst, and when that was so.
  #tokens: number
  #filledAtMs: number

  /** @param elapsedMs a clock that nobody sets. */
  constructor(limits: StreamLimits = {}, elapsedMs: () => number = () => performance.now()) {
    const { maxStreams = DEFAULT_MAX_STREAMS, maxStreamsPerAddress = 0, streamsPerS = 0 } = limits
    this.limits = { maxStreams, maxStreamsPerAddress, streamsPerS }
    this.#elapsedMs = elapsedMs
    this.#tokens = this.#burst
    this.#filledAtMs = elapsedMs()
  }

  /** The places that are taken. */
  get size(): number {
    return this.#taken.size
  }

  /** The networks whose places are counted. */
  get networkCount(): number {
    return this.#byNetwork.size
  }

  /** Those that were taken so long ago, each with its number. */
  *takenFor(ms: number): Iterable<readonly [number, StreamSlot]> {
    const before = this.#elapsedMs() - ms
    for (const slot of this.#taken) if (slot.takenAtMs <= before) yield [slot.number, slot]
  }

  /**
   * Takes a place.
   *
   * @param beside another place that is given back with it.
   * @throws ProblemError `too_many_connections`, `address_connection_limit`, `connect_rate_limited`.
   */
  take({ address, instead = [] }: AdmitOptions = {}, beside?: StreamSlot): StreamSlot {
    const { maxStreams, maxStreamsPerAddress, streamsPerS } = this.limits
    const freed = instead.filter((slot): slot is Slot => slot instanceof Slot && slot.held)
    if (maxStreams > 0 && this.size - freed.length >= maxStreams) throw allTaken(maxStreams)
    const network = address === undefined || maxStreamsPerAddress === 0 ? undefined : networkOf(address)
    if (network !== undefined) {
      const freedThere = freed.filter((slot) => slot.network === network).length
      const taken = (this.#byNetwork.get(network) ?? 0) - freedThere
      if (taken >= maxStreamsPerAddress) throw addressTaken(maxStreamsPerAddress)
    }
    // Last: who is refused for another reason uses up nothing.
    if (streamsPerS > 0) this.#takeToken(streamsPerS)
    if (network !== undefined) this.#byNetwork.set(network, (this.#byNetwork.get(network) ?? 0) + 1)
    this.#lastNumber += 1
    const slot = new Slot({
      number: this.#lastNumber,
      takenAtMs: this.#elapsedMs(),
      network,
      beside,
      onRelease: this.#onRelease,
    })
    this.#taken.add(slot)
    return slot
  }

  get #burst(): number {
    return Math.max(1, this.limits.streamsPerS)
  }

  #takeToken(perS: number): void {
    const nowMs = this.#elapsedMs()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#filledAtMs) * perS) / 1_000)
    this.#filledAtMs = nowMs
    if (this.#tokens < 1) throw tooFast(perS, (1 - this.#tokens) / perS)
    this.#tokens -= 1
  }

  readonly #onRelease = (slot: Slot): void => {
    const { network } = slot
    this.#taken.delete(slot)
    if (network !== undefined) countDown(this.#byNetwork, network)
  }
}

function countDown(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 0) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}

interface SlotInit {
  readonly number: number
  readonly takenAtMs: number
  readonly network: string | undefined
  readonly beside: StreamSlot | undefined
  readonly onRelease: (slot: Slot) => void
}

class Slot implements StreamSlot {
  readonly number: number
  readonly takenAtMs: number
  readonly network: string | undefined
  readonly #beside: StreamSlot | undefined
  #onRelease: ((slot: Slot) => void) | undefined

  constructor({ number, takenAtMs, network, beside, onRelease }: SlotInit) {
    this.number = number
    this.takenAtMs = takenAtMs
    this.network = network
    this.#beside = beside
    this.#onRelease = onRelease
  }

  get held(): boolean {
    return this.#onRelease !== undefined
  }

  release(): void {
    const onRelease = this.#onRelease
    this.#onRelease = undefined
    onRelease?.(this)
    this.#beside?.release()
  }
}

function refusal(code: ErrorCode, detail: string, retryAfterS: number): ProblemError {
  return new ProblemError(code, `${detail} Try again in ${retryAfterS} s.`, { retryAfterS })
}

function allTaken(max: number): ProblemError {
  return refusal(
    'too_many_connections',
    `This server keeps ${max} streams at a time (MAX_CONNECTIONS), and all are taken.`,
    FULL_RETRY_AFTER_S,
  )
}

function addressTaken(max: number): ProblemError {
  return refusal(
    'address_connection_limit',
    `Your address has ${max} streams open, and may have no more (MAX_CONNECTIONS_PER_ADDRESS); close one.`,
    CLIENT_RETRY_AFTER_S,
  )
}

function tooFast(perS: number, waitS: number): ProblemError {
  return refusal(
    'connect_rate_limited',
    `This server opens ${perS} streams a second (CONNECT_RATE_PER_S), and more were asked for.`,
    Math.max(1, Math.ceil(waitS)),
  )
}
