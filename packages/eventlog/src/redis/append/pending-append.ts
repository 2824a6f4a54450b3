import type { Position } from '@tributary/protocol'
import type { LogEntry } from '../../event-log.ts'
import type { Appended, AppendRequest, Attempt } from './append-request.ts'

/** Makes an entry of a request that has its place. */
export type EntryOf = (request: AppendRequest, index: number, position: Position, k: number) => LogEntry

/** An append that is under way. */
export class PendingAppend implements Attempt {
  /** Its number among those of this node. */
  readonly k: number
  readonly request: AppendRequest
  readonly answer: Promise<Appended>
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: unknown) => void
  again: boolean
  sinceN: number
  /** Whether it is not to be sent any more, as what was asked for before it could not be stored. */
  isGivenUp = false
  /** What it is refused with, where it cannot be sent now and is not taken over. */
  refusal: { readonly error: unknown } | undefined
  /** There once it is answered. */
  first: Position | undefined
  /** Where it was found to stand, though no answer came. */
  foundAt: Position | undefined
  readonly #entryOf: EntryOf
  // Those that were handed on already; the others are made when it is answered.
  #entries: (LogEntry | undefined)[] = []
  readonly #failures: unknown[] = []

  constructor(k: number, request: AppendRequest, entryOf: EntryOf) {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>()
    this.k = k
    this.request = request
    this.again = request.againK !== undefined
    this.sinceN = this.again ? 0 : Number.POSITIVE_INFINITY
    this.answer = promise
    this.resolve = resolve
    this.reject = reject
    this.#entryOf = entryOf
  }

  /** Of its batch; `undefined` of an empty one, and before it is answered. */
  get last(): Position | undefined {
    const count = this.request.drafts.length
    if (this.first === undefined || count === 0) return undefined
    return { ms: this.first.ms, n: this.first.n + count - 1 }
  }

  get isHandedOn(): boolean {
    const { length } = this.request.drafts
    return length > 0 && this.#entries.filter((entry) => entry !== undefined).length === length
  }

  /** Those that were handed on, or made. */
  get entries(): readonly LogEntry[] {
    return this.#entries.filter((entry) => entry !== undefined)
  }

  /** One of its batch, which is the same however often it is asked for. */
  entryAt(index: number, position: Position): LogEntry {
    const made = this.#entries[index] ?? this.#entryOf(this.request, index, position, this.k)
    this.#entries[index] = made
    return made
  }

  /** What was handed on of it was in a log that is not there any more. */
  forgetEntries(): void {
    this.#entries = []
  }

  /** Its place was lost before it was handed on there, and it has another. */
  moveTo(first: Position): void {
    this.first = first
    this.forgetEntries()
  }

  /** Notes that a listener failed with one of these entries. Answers whether one is of this append. */
  fail(entries: readonly LogEntry[], error: unknown): boolean {
    if (!this.#entries.some((own) => own !== undefined && entries.includes(own))) return false
    this.#failures.push(error)
    return true
  }

  /** Answers whoever appended, once there is a place. */
  finish({ ms, n }: Position): void {
    const entries = this.request.drafts.map((_, index) => this.entryAt(index, { ms, n: n + index }))
    if (this.#failures.length > 0) this.reject(this.#failures[0])
    else this.resolve({ kind: 'appended', entries })
  }
}
