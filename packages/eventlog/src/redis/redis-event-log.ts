import type { Cursor, Position, Topic } from '@tributary/protocol'
import type { EphemeralEvent, Telling, Told } from '../ephemeral-event.ts'
import type {
  Append,
  AppendOptions,
  BridgeOptions,
  EventLog,
  LogEntry,
  LogRange,
  OnceAnswer,
  OnceKey,
  OpenOptions,
  Page,
  ReadOptions,
  StartingPoint,
} from '../event-log.ts'
import type { Following } from '../following.ts'
import { LogClosedError } from '../log-error.ts'
import { KeyedEntries } from './append/keyed-entries.ts'
import { LogAppends } from './append/log-appends.ts'
import { EphemeralMessages } from './follow/ephemeral-messages.ts'
import { LogFollower } from './follow/log-follower.ts'
import type { LogFields } from './log-fields.ts'
import { LogHost } from './log-host.ts'
import { LogListeners } from './log-listeners.ts'
import type { LogParts } from './log-parts.ts'
import { LogState } from './log-state.ts'
import type { LogStore, StoredLog } from './log-store.ts'
import { LogReads } from './read/log-reads.ts'
import type { LogKeys } from './redis-keys.ts'

/** What a log is as it was opened. */
export interface OpenedLog extends LogFields {
  /** Whether this node has made it. */
  readonly isOurs: boolean
}

/** A log in Redis, which any number of processes append to and follow. */
export class RedisEventLog implements EventLog, StoredLog {
  readonly name: string
  readonly #state: LogState
  readonly #listeners: LogListeners
  readonly #appends: LogAppends
  readonly #host: LogHost
  readonly #follower: LogFollower
  readonly #reads: LogReads
  readonly #ephemerals: EphemeralMessages

  constructor(name: string, keys: LogKeys, fields: OpenedLog, options: OpenOptions, store: LogStore) {
    this.name = name
    const state = new LogState(fields, {
      onMoved: (head) => {
        this.#reads.history.pass(head)
        store.onMoved(this)
      },
      onClosed: () => store.onClosed(this),
    })
    this.#state = state
    const keyed = new KeyedEntries()
    const isFollowed = () => !this.#follower.isIdle
    const parts: LogParts = { name, keys, options, state, store, keyed, isFollowed }
    this.#reads = new LogReads({
      ...parts,
      completeFromN: (topics) => this.#follower.completeFromN(topics),
      isSure: () => this.#follower.isSure,
      compare: () => this.#follower.sync(),
    })
    this.#appends = new LogAppends({
      ...parts,
      hearsOf: (topics) => this.#follower.hearsOf(topics),
      handOnUnstored: (entry) => {
        this.#follower.pause()
        this.#listeners.tellProvisional(entry)
      },
      compare: () => this.#follower.sync(),
      sync: () => this.sync(),
      findAnew: () => this.#findAnew(),
    })
    this.#listeners = new LogListeners({
      state,
      reads: this.#reads,
      keyed,
      appends: this.#appends,
      onError: store.onError,
    })
    const { node, tell: publish, unreachable, failure, onError } = store
    const tellsAlone = store.outage !== undefined
    this.#ephemerals = new EphemeralMessages({
      node,
      keys,
      tellsAlone,
      publish,
      unreachable,
      failure,
      onError,
    })
    const subscriptions = store.subscriptions(this, keys, (message) => this.#follower.onMessage(message))
    this.#host = new LogHost({
      ...parts,
      isOurs: fields.isOurs,
      reads: this.#reads,
      appends: this.#appends,
      listeners: this.#listeners,
      ephemerals: this.#ephemerals,
      onDropped: () => this.drop(),
    })
    this.#follower = new LogFollower(this.#host, subscriptions)
  }

  /** What this node has handed on: everything of the followed topics up to here was offered. */
  get head(): Position {
    return this.#state.head
  }

  get closed(): boolean {
    return this.#state.closed
  }

  get provisional(): readonly LogEntry[] {
    return this.#appends.bridge.unplaced
  }

  get attributes(): ReadonlyMap<string, string> {
    return this.#state.attributes
  }

  /** Appends that wait for Redis. */
  get bufferedCount(): number {
    return this.#appends.bridge.size
  }

  /** Why they could not be stored when it was last tried. */
  get bufferedRefusal(): string | undefined {
    return this.#appends.bridge.refusal
  }

  idOf(position: Position): string {
    return this.#state.idOf(position)
  }

  append(batch: readonly Append[], options: AppendOptions = {}): Promise<readonly LogEntry[]> {
    return this.#appends.append(batch, options)
  }

  appendOnce(batch: readonly Append[], once: OnceKey, options: BridgeOptions = {}): Promise<OnceAnswer> {
    return this.#appends.appendOnce(batch, once, options)
  }

  close(terminal: Append, options: AppendOptions = {}): Promise<LogEntry> {
    return this.#appends.close(terminal, options)
  }

  async tell(telling: Telling): Promise<Told> {
    this.#appends.refuse()
    return this.#ephemerals.tell(telling)
  }

  onTold(listener: (event: EphemeralEvent) => void): () => void {
    return this.#ephemerals.listen(listener)
  }

  locate(cursor: Cursor, topics?: readonly Topic[]): Promise<StartingPoint> {
    return this.#reads.locate(cursor, topics)
  }

  read(afterN: number, options: ReadOptions = {}): Promise<Page> {
    return this.#reads.read(afterN, options)
  }

  position(topics?: readonly Topic[]): Promise<LogRange> {
    return this.#reads.position(topics)
  }

  tail(listener: (entry: LogEntry) => void): () => void {
    return this.#listeners.tail(listener)
  }

  follow(topics?: readonly Topic[]): Following {
    return this.#follower.follow(topics)
  }

  onRewind(listener: () => void): () => void {
    return this.#listeners.onRewind(listener)
  }

  onAttributes(listener: () => void): () => void {
    return this.#state.onAttributes(listener)
  }

  /** Whether only one topic of it is followed, all of it, so that a hole shows at the next message. */
  get showsHoles(): boolean {
    return this.#state.runId !== undefined
  }

  /** Compares it with what was handed on, where somebody follows it. Answers whether it does. */
  sync(): boolean {
    if (this.#follower.isIdle && this.#appends.isIdle && !this.#host.isNew) return false
    this.#follower.syncSoon()
    return true
  }

  /** It may be another server's from now on. */
  doubt(): void {
    this.#appends.doubt()
  }

  get keepsAnswered(): boolean {
    return !this.#appends.isIdle
  }

  /** Messages on these channels are missed from here on, or not any more. */
  onChannel(channel: string, isThere: boolean): void {
    if (isThere) this.#follower.regain(channel)
    else this.#follower.lose(channel)
  }

  trim(nowMs: number): void {
    this.#reads.trim(nowMs)
  }

  /** Resolves once what is under way is done, or has failed. */
  settled(): Promise<void> {
    return this.#appends.settled()
  }

  /** Refuses whatever comes, as the log is dropped. */
  drop(): void {
    this.#state.isDropped = true
    this.#appends.queue.release()
    this.#follower.close()
  }

  /** Ends what is under way, as the store is closed. */
  end(error: Error): void {
    this.#follower.close()
    this.#ephemerals.close(error)
    this.#appends.end(error)
  }

  get isDropped(): boolean {
    return this.#state.isDropped
  }

  async #findAnew(): Promise<void> {
    await this.#follower.sync()
    if (this.#state.isDropped) throw new LogClosedError(this.name)
  }
}
