import { formatEventId, type Position } from '@tributary/protocol'
import { ChangeListeners } from '../change-listeners.ts'
import type { LogFields } from './log-fields.ts'

/** Where a node stands in a log. */
export interface LogPlace {
  readonly head: Position
  /** Who appended what stands there; '' where that is not known. */
  readonly origin: string
  readonly closed: boolean
}

/** A place that a log has had. */
export interface KnownPlace extends Position {
  /** Who appended what stands there; '' where that is not known. */
  readonly origin: string
}

export interface LogStateEvents {
  readonly onMoved: (head: Position) => void
  readonly onClosed: () => void
}

type Change = Readonly<Record<string, string | null>>

/** Of attributes that are not all known here. */
const UNKNOWN_VERSION = -1

/** What a node knows of a log: which it is, how far it has handed it on and has heard that it goes, and its attributes. */
export class LogState {
  readonly runId: string | undefined
  /** Set once the log is dropped: nothing more is taken. */
  isDropped = false
  readonly #events: LogStateEvents
  readonly #listeners = new ChangeListeners()
  #life: string
  #zero: Position
  #attributes: Map<string, string>
  #attributesVersion: number
  #place: LogPlace
  #known: KnownPlace
  // Where that is the first of several, the last of them.
  #knownUpToN: number
  #rewinds = 0

  constructor(fields: LogFields, events: LogStateEvents) {
    const { life, runId, zero, head, closed, attributes, attributesVersion } = fields
    this.runId = runId
    this.#events = events
    this.#life = life
    this.#zero = zero
    this.#attributes = attributes
    this.#attributesVersion = attributesVersion
    this.#place = { head, origin: '', closed }
    this.#known = { ...head, origin: '' }
    this.#knownUpToN = head.n
  }

  /** Another for each log, also for one that is made anew under the same name. */
  get life(): string {
    return this.#life
  }

  get zero(): Position {
    return this.#zero
  }

  get place(): LogPlace {
    return this.#place
  }

  get head(): Position {
    return this.#place.head
  }

  /** The last place that the log is known to have had, by whatever answer: handed on here or not. */
  get known(): KnownPlace {
    return this.#known
  }

  /** How often the log has turned out to have lost something, or to be another. */
  get rewinds(): number {
    return this.#rewinds
  }

  get closed(): boolean {
    return this.#place.closed
  }

  get attributes(): ReadonlyMap<string, string> {
    return this.#attributes
  }

  get attributesVersion(): number {
    return this.#attributesVersion
  }

  onAttributes(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  idOf({ ms, n }: Position): string {
    return this.runId === undefined ? formatEventId({ ms, n }) : formatEventId({ runId: this.runId, ms, n })
  }

  /** Takes what the log is now. Answers where that stands; nobody is moved there yet. */
  load({ life, zero, head, closed, attributes, attributesVersion }: LogFields): LogPlace {
    this.#life = life
    this.#zero = zero
    this.#attributes = attributes
    this.#attributesVersion = attributesVersion
    return { head, origin: '', closed }
  }

  move(place: LogPlace): void {
    const wasClosed = this.closed
    this.#place = place
    this.saw(place.head, place.origin)
    this.#events.onMoved(place.head)
    if (place.closed && !wasClosed) this.#events.onClosed()
  }

  /** Goes back to there, as what was later is lost. */
  rewind(place: LogPlace): void {
    this.#rewinds += 1
    this.#known = { ...place.head, origin: '' }
    this.#knownUpToN = place.head.n
    this.move(place)
  }

  /** The log goes as far as this. @param first of several that were appended at once, of which this is the last. */
  saw(last: Position, origin = '', first = last): void {
    if (last.n <= this.#knownUpToN) return
    this.#knownUpToN = last.n
    this.#known = { ...first, origin }
  }

  /** The same where somebody else has brought the log further, and nobody follows it here. */
  moveOn(place: LogPlace): void {
    if (place.head.n > this.head.n) this.move(place)
  }

  /** An append from here has changed these. */
  changed(version: number, change: Change): void {
    // Who follows may have been told already.
    if (version <= this.#attributesVersion) return
    // Where others have changed them meanwhile, the next comparison brings all.
    this.#attributesVersion = version === this.#attributesVersion + 1 ? version : UNKNOWN_VERSION
    this.#change(change)
  }

  /** @param change all of them, or what is other since the version before. */
  setAttributes(version: number, change: Change | ReadonlyMap<string, string>): void {
    this.#attributesVersion = version
    if (change instanceof Map) {
      this.#attributes = new Map(change)
      this.#listeners.tell()
    } else this.#change(Object.fromEntries(Object.entries(change)))
  }

  #change(change: Change): void {
    for (const [name, value] of Object.entries(change)) {
      if (value === null) this.#attributes.delete(name)
      else this.#attributes.set(name, value)
    }
    this.#listeners.tell()
  }
}
