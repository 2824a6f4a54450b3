/** The place of an event in its log: when it was appended, and its number there. */
export interface Position {
  /** Milliseconds since 1970, never going back within a log. */
  readonly ms: number
  /** The event's number in its log, from 1, without holes. 0 is the place before the first. */
  readonly n: number
}

/** An id taken apart. `runId` is there when the id is of a run's log. */
export interface EventIdParts extends Position {
  readonly runId?: string
}

/** The last event a reader has: an event's id, or a bare time (then: everything later than it). */
export type Cursor =
  | ({
      readonly kind: 'event'
      /** What the reader was sent beyond it while the log could not be reached, by its origins. */
      readonly sent?: readonly string[]
    } & EventIdParts)
  | { readonly kind: 'time'; readonly ms: number }

const RUN_ID = /^[A-Za-z0-9_-]{1,64}$/
const EVENT_ID = /^(?:([A-Za-z0-9_-]{1,64})\.)?(\d{1,16})-(\d{1,16})$/
/** What was handed on by a node before it had a place: `~<node>.<from>~<node>.<to>`, of a few nodes, and by a few keys, at most. */
const SENT = /^(.*?)((?:~[A-Za-z0-9_-]{1,32}\.\d{1,16}){1,40})$/
const TIME = /^\d{1,16}$/

/** Whether `text` can name a run: 1 to 64 letters, digits, `_` and `-`. */
export function isRunId(text: string): boolean {
  return RUN_ID.test(text)
}

/** A new run id. Random, so that nobody meets another's run by counting. */
export function newRunId(): string {
  return `run_${globalThis.crypto.randomUUID().replaceAll('-', '')}`
}

/** `<ms>-<n>` in the hub log, `<runId>.<ms>-<n>` in a run's. */
export function formatEventId({ runId, ms, n }: EventIdParts): string {
  return runId === undefined ? `${ms}-${n}` : `${runId}.${ms}-${n}`
}

/** Takes an id apart; `undefined` where `text` is none. */
export function parseEventId(text: string): EventIdParts | undefined {
  const match = EVENT_ID.exec(text)
  if (match === null) return undefined
  const [, runId, msText, nText] = match
  const ms = Number(msText)
  const n = Number(nText)
  if (!Number.isSafeInteger(ms) || !Number.isSafeInteger(n)) return undefined
  return runId === undefined ? { ms, n } : { runId, ms, n }
}

/** Reads what a client presents as its cursor: an event id, or milliseconds alone. */
export function parseCursor(text: string): Cursor | undefined {
  const [, place = text, sent] = SENT.exec(text) ?? []
  const id = parseEventId(place)
  if (id !== undefined) {
    return { kind: 'event', ...id, ...(sent === undefined ? {} : { sent: sent.slice(1).split('~') }) }
  }
  if (!TIME.test(text)) return undefined
  const ms = Number(text)
  return Number.isSafeInteger(ms) ? { kind: 'time', ms } : undefined
}

/** Negative when `a` is earlier in their log than `b`. The number decides; it has no ties. */
export function comparePositions(a: Position, b: Position): number {
  return a.n - b.n
}

/** Whether `a` is short of `b`, also by the time alone: what a node has at that number may be lost without its knowing yet. */
export function isBehind(a: Position, b: Position): boolean {
  return a.n < b.n || a.ms < b.ms
}

/** Hands out the positions of one log: strictly rising, also when the clock stands still or jumps back. */
export class PositionSequence {
  #last: Position | undefined
  readonly #now: () => number

  /** @param last where the log stands, when it was opened again. */
  constructor(now: () => number, last?: Position) {
    this.#now = now
    this.#last = last
  }

  next(): Position {
    const ms = Math.max(Math.trunc(this.#now()), this.#last?.ms ?? 0)
    this.#last = { ms, n: (this.#last?.n ?? 0) + 1 }
    return this.#last
  }
}
