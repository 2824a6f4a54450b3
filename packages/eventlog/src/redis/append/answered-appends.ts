import type { Position } from '@tributary/protocol'
import type { FoundPlaces } from '../find-places.ts'
import type { AppendRequest, Attempt } from './append-request.ts'
import { type SendInOrder, sendInOrder } from './ordered-batch.ts'
import { bytesOf } from './outage-buffer.ts'

/** How long it is kept what was answered, in ms: a failover may take as long until every node has left the old server. */
export const KEEP_MS = 10_000
/** Of a log at most, as many as it remembers places of: what is older is not stored again where it is lost. */
const MAX_APPENDS = 16_384
/** The same in characters of what was appended. */
const MAX_CHARS = 16_777_216
/** Appends in one round to a Redis that has lost them. */
const RESTORE_AT_ONCE = 64

/** An append that the log has answered. */
export interface Answered extends Attempt {
  readonly request: AppendRequest
  first: Position
  last: Position
  /** The lowest number that it ever had: a server that was left may be come back to. */
  lowestN: number
  answeredMs: number
  isLost: boolean
  /** Whether it was lost, and is stored again where the log is being found anew: no log tells of one without entries. */
  isStoredAgain: boolean
  /** Whether it was handed on here with a place, since the log was found anew: perhaps with another, and before that is answered. */
  isHandedOn: boolean
}

export interface RestoreInit {
  /**
   * Appends it again. Resolves with its place, also of what another has stored for its key.
   *
   * @throws where it is to be tried again, or is refused for good.
   */
  readonly send: SendInOrder<Answered, Position>
  /** Whether it is to be tried again later. */
  readonly isAway: (error: unknown) => boolean
  /** Told of what the log will not take again. */
  readonly onRefused: (k: number, error: unknown) => void
}

/**
 * What this node has appended to a log lately. Redis answers before its replicas have it, so a failover may lose the last
 * of it: then it is appended again, in its order, known by its origin.
 */
export class AnsweredAppends {
  readonly #items = new Map<number, Answered>()
  #chars = 0
  #isUnsure = false

  get isEmpty(): boolean {
    return this.#items.size === 0
  }

  /** Whether the first that was ever appended to the log is among them. */
  get hasFirst(): boolean {
    return this.#items.values().some(({ request, lowestN }) => request.drafts.length > 0 && lowestN === 1)
  }

  get hasLost(): boolean {
    return this.#items.values().some(({ isLost }) => isLost)
  }

  /** Notes that it stands in the log now. */
  add({ request, k }: Attempt, first: Position, nowMs: number): void {
    const known = this.#items.get(k)
    if (known !== undefined) {
      known.answeredMs = nowMs
      moveTo(known, first)
      return
    }
    const { n } = first
    const places = { first, last: lastOf(request, first), lowestN: n, sinceN: n - 1 }
    const item = {
      request,
      k,
      ...places,
      answeredMs: nowMs,
      isLost: false,
      isStoredAgain: false,
      isHandedOn: false,
      again: true,
    }
    this.#items.set(k, item)
    this.#chars += bytesOf(item)
    this.#forgetSafe(nowMs)
    while (this.#items.size > MAX_APPENDS || this.#chars > MAX_CHARS) this.#forgetOldest()
  }

  /** The log has all of it at this time: what is older is safe by now. */
  seen(nowMs: number): void {
    this.#forgetStoredAgain()
    this.#forgetSafe(nowMs)
  }

  clear(): void {
    this.#items.clear()
    this.#chars = 0
    this.#isUnsure = false
  }

  /** The log has lost something: it is to be looked whether all of this is still there. */
  doubt(): void {
    this.#isUnsure = true
  }

  /** The same where the log may be another server's: that may not have what was stored again, either. */
  doubtServer(): void {
    this.doubt()
    this.#forgetStoredAgain()
  }

  /** The log has lost something, and stands here now. */
  rewound(n: number): void {
    for (const item of this.#items.values()) {
      item.sinceN = Math.min(item.sinceN, n)
      item.isHandedOn = false
    }
  }

  /** It has been handed on here with its place. */
  handedOn(k: number): void {
    const item = this.#items.get(k)
    if (item !== undefined) item.isHandedOn = true
  }

  /** What is not seen in the log, in order. @param headN up to where it is seen. */
  unseen(headN: number): Answered[] {
    return [...this.#items.values()].filter(({ last, isHandedOn }) => last.n > headN && !isHandedOn)
  }

  /** The same with what is known to be lost. */
  unsettled(headN: number): Answered[] {
    return [...this.#items.values()].filter(({ last, isLost }) => isLost || last.n > headN)
  }

  /**
   * Looks what of it is lost, where that is in doubt.
   *
   * @param find looks for these behind a number.
   * @param unanswered what was not answered, and may be there.
   * @param onFound told of each that stands elsewhere, or was not known to stand there.
   */
  async findLost(
    find: (sinceN: number, attempts: readonly Attempt[]) => Promise<FoundPlaces>,
    unanswered: readonly Attempt[],
    onFound: (attempt: Attempt, first: Position) => void,
  ): Promise<void> {
    if (!this.#isUnsure) return
    const items = [...this.#items.values()]
    const behind = [...items.map(({ lowestN }) => lowestN - 1), ...unanswered.map(({ sinceN }) => sinceN)]
    const sinceN = behind.reduce((lowest, n) => Math.min(lowest, n), Number.MAX_SAFE_INTEGER)
    const found = await find(sinceN, [...items, ...unanswered])
    for (const [i, attempt] of unanswered.entries()) {
      const place = found.places[items.length + i]
      if (place !== undefined) onFound(attempt, place)
    }
    this.#judge(items, found, onFound)
    this.#isUnsure = false
  }

  /** Appends again what the log has lost. @throws where that is to be tried again. */
  async restore({ send, isAway, onRefused }: RestoreInit): Promise<void> {
    const lost = [...this.#items.values()].filter(({ isLost }) => isLost)
    for (let i = 0; i < lost.length; i += RESTORE_AT_ONCE) {
      const batch = lost.slice(i, i + RESTORE_AT_ONCE)
      const sent = await sendInOrder(batch, send)
      for (const [at, item] of batch.entries()) {
        const one = sent[at]
        if (one?.status === 'rejected' && isAway(one.reason)) throw one.reason
        item.isLost = false
        item.isStoredAgain = true
        if (one?.status !== 'rejected') {
          if (one !== undefined) moveTo(item, one.value)
          continue
        }
        this.#forget(item)
        onRefused(item.k, one.reason)
      }
    }
  }

  #judge(
    items: readonly Answered[],
    { headN, oldestN, places }: FoundPlaces,
    onMoved: (item: Answered, first: Position) => void,
  ): void {
    // Nobody knows of those without entries: they are lost with what comes next, and the last of all may be.
    const lastFound = items.findLastIndex((_, i) => places[i] !== undefined)
    for (const [i, item] of items.entries()) {
      const place = places[i]
      const mayBeLast = i > lastFound && !item.isStoredAgain
      const isKnown = item.request.drafts.length > 0 ? item.lowestN >= oldestN : mayBeLast
      item.isLost = place === undefined && isKnown
      if (item.isLost) item.sinceN = headN
      // Also at another time, as where a server that was frozen has done since what it was asked before.
      else if (place !== undefined && !isSame(place, item.first)) {
        moveTo(item, place)
        onMoved(item, place)
      }
    }
  }

  #forgetSafe(nowMs: number): void {
    if (this.#isUnsure) return
    for (const item of this.#items.values()) {
      if (item.isLost || item.answeredMs > nowMs - KEEP_MS) return
      this.#forget(item)
    }
  }

  #forgetStoredAgain(): void {
    for (const item of this.#items.values()) item.isStoredAgain = false
  }

  #forgetOldest(): void {
    const [oldest] = this.#items.values()
    if (oldest !== undefined) this.#forget(oldest)
  }

  #forget(item: Answered): void {
    if (this.#items.delete(item.k)) this.#chars -= bytesOf(item)
  }
}

function isSame(a: Position, b: Position): boolean {
  return a.n === b.n && a.ms === b.ms
}

function moveTo(item: Answered, first: Position): void {
  item.first = first
  item.last = lastOf(item.request, first)
  item.lowestN = Math.min(item.lowestN, first.n)
  item.isLost = false
}

function lastOf({ drafts }: AppendRequest, { n, ms }: Position): Position {
  return { ms, n: n + Math.max(0, drafts.length - 1) }
}
