import type { Topic } from '@tributary/protocol'
import type { LogEntry } from '../event-log.ts'
import { KEEP_MS } from './append/answered-appends.ts'
import type { LogAppends } from './append/log-appends.ts'
import type { EphemeralMessages } from './follow/ephemeral-messages.ts'
import type { FollowerHost } from './follow/follower-host.ts'
import type { ToldEntry } from './follow/log-message.ts'
import type { LogListeners } from './log-listeners.ts'
import type { LogParts } from './log-parts.ts'
import { SYNC, type Whereabouts } from './log-scripts.ts'
import type { LogPlace, LogState } from './log-state.ts'
import type { LogReads, ReadPage } from './read/log-reads.ts'
import type { ScriptAnswer } from './script-answer.ts'
import { storedEntry } from './stored-entry.ts'

export interface LogHostInit extends LogParts {
  /** Whether this node has just made it. */
  readonly isOurs: boolean
  readonly reads: LogReads
  readonly appends: LogAppends
  readonly listeners: LogListeners
  readonly ephemerals: EphemeralMessages
  readonly onDropped: () => void
}

/** A log as its follower has it: what that finds out goes to those whom it concerns. */
export class LogHost implements FollowerHost {
  readonly state: LogState
  readonly #init: LogHostInit

  // When this node made it; `undefined` where another did.
  readonly #madeMs: number | undefined

  constructor(init: LogHostInit) {
    const { state, isOurs, store } = init
    this.state = state
    this.#init = init
    this.#madeMs = isOurs ? store.elapsed() : undefined
  }

  /** Whether this node has made it so lately that a failover may lose it. */
  get isNew(): boolean {
    return this.#madeMs !== undefined && this.#init.store.elapsed() - this.#madeMs < KEEP_MS
  }

  handOn(entries: readonly LogEntry[], place: LogPlace): void {
    this.#init.listeners.handOn(entries, place)
  }

  entryOf({ position, index, head, json }: ToldEntry, origin: string): LogEntry {
    const { appends, keyed } = this.#init
    const k = appends.ownCount(origin)
    const own = k === undefined ? undefined : appends.queue.entryAt(k, index, position)
    return own ?? keyed.aliased(storedEntry(head, json, position, this.state.idOf(position)))
  }

  onDropped(): void {
    this.#init.onDropped()
  }

  onEphemeral(message: string): void {
    this.#init.ephemerals.take(message)
  }

  rewind(place: LogPlace, isAnother: boolean): void {
    this.#init.listeners.rewind(place, isAnother)
  }

  leap(place: LogPlace): void {
    this.#init.listeners.leap(place)
  }

  onOvertaken(topics: readonly Topic[], afterN: number): void {
    this.#init.listeners.overtaken(topics, afterN)
  }

  store(): Promise<void> {
    return this.#init.appends.store()
  }

  putBack(): Promise<'done' | 'taken' | 'nothing'> {
    return this.#init.appends.putBack()
  }

  async makeAgain(): Promise<Whereabouts> {
    const { name, keys, store, appends } = this.#init
    // A hub goes on with what there is.
    if (this.state.runId === undefined) return 'gone'
    return store.makeAgain(name, keys, { state: this.state, makes: appends.hasAll || this.isNew })
  }

  onCompared(): void {
    this.#init.appends.compared()
  }

  async reload(): Promise<LogPlace | undefined> {
    const { keys, store, reads, appends } = this.#init
    // A run that is gone was dropped; a hub goes on with what there is.
    const fields = await store.reload(keys, this.state.runId === undefined)
    if (fields === undefined) return undefined
    const { life } = this.state
    const place = this.state.load(fields)
    if (life === this.state.life) {
      await reads.findLost(place.head)
      await appends.findLost()
    }
    return place
  }

  onSuspect(): void {
    this.#init.appends.suspect()
  }

  compare(args: readonly (string | number)[]): Promise<ScriptAnswer> {
    const { store, keys } = this.#init
    return store.ask(SYNC, keys, args)
  }

  async readPage(afterN: number, upToN: number, topics: readonly Topic[] | undefined): Promise<ReadPage> {
    const page = await this.#init.reads.page(afterN, upToN, topics === undefined ? {} : { topics })
    return { ...page, entries: page.entries.map((entry) => this.#ownOf(entry) ?? entry) }
  }

  cuts(): number {
    return this.#init.store.cuts()
  }

  unreachable(): Error | undefined {
    return this.#init.store.unreachable()
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#init.store.after(delayMs, callback)
  }

  /** The same entry as whoever appended it here waits for it; `undefined` where nobody does. */
  #ownOf({ origin, position }: LogEntry): LogEntry | undefined {
    const { appends } = this.#init
    const k = appends.ownCount(origin)
    return k === undefined ? undefined : appends.queue.readEntryAt(k, position)
  }
}
