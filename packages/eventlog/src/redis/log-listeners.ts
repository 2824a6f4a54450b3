import type { Topic } from '@tributary/protocol'
import { ChangeListeners } from '../change-listeners.ts'
import { EntryListeners } from '../entry-listeners.ts'
import type { LogEntry } from '../event-log.ts'
import type { KeyedEntries } from './append/keyed-entries.ts'
import type { LogAppends } from './append/log-appends.ts'
import type { LogPlace, LogState } from './log-state.ts'
import type { LogReads } from './read/log-reads.ts'

export interface LogListenersInit {
  readonly state: LogState
  readonly reads: LogReads
  readonly keyed: KeyedEntries
  readonly appends: LogAppends
  readonly onError: (error: unknown) => void
}

/** Who hears of a log here: of what comes, in order, and of what it has lost. */
export class LogListeners {
  readonly #init: LogListenersInit
  readonly #entries = new EntryListeners()
  readonly #rewinds = new ChangeListeners()

  constructor(init: LogListenersInit) {
    this.#init = init
  }

  tail(listener: (entry: LogEntry) => void): () => void {
    return this.#entries.add(this.#init.state.head.n, listener)
  }

  onRewind(listener: () => void): () => void {
    return this.#rewinds.add(listener)
  }

  /** Tells of what has no place yet. */
  tellProvisional(entry: LogEntry): void {
    this.#entries.tell([entry])
  }

  /** Moves there, and tells of what is new. */
  handOn(entries: readonly LogEntry[], place: LogPlace): void {
    const { state, reads, keyed, appends, onError } = this.#init
    state.move(place)
    for (const entry of entries) {
      reads.history.add(entry)
      keyed.place(entry)
    }
    reads.lost.found(entries)
    appends.bridge.handedOn(entries)
    try {
      this.#entries.tell(entries)
    } catch (error) {
      if (!appends.queue.fail(entries, error)) onError(error)
    }
    appends.queue.handedOn(place.head.n)
    if (place.closed) reads.history.clearFrames()
  }

  /** The log has lost what it had, or is another. */
  rewind(place: LogPlace, isAnother: boolean): void {
    const { state, reads, keyed, appends } = this.#init
    this.#rewinds.tell()
    reads.history.reset(place.head)
    keyed.forgetPlaces()
    state.rewind(place)
    this.#entries.rewind(place.head.n)
    appends.rewound(place.head, isAnother)
  }

  /** There is so much that readers read on by themselves. */
  leap(place: LogPlace): void {
    const { state, reads, appends } = this.#init
    this.#rewinds.tell()
    reads.history.reset(place.head)
    state.move(place)
    appends.queue.handedOn(place.head.n)
  }

  /** Something of these topics was lost on the way, and others have come since. */
  overtaken(topics: readonly Topic[], afterN: number): void {
    const { state, reads } = this.#init
    reads.overtaken.add(topics, afterN, state.head)
    this.#rewinds.tell()
  }
}
