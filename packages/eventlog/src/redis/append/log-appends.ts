import { formatOrigin, type Position, parseOrigin, type Topic } from '@tributary/protocol'
import type { Append, AppendOptions, BridgeOptions, LogEntry, OnceAnswer, OnceKey } from '../../event-log.ts'
import { placedEntry } from '../../log-entry.ts'
import { LogClosedError, StoreUnavailableError } from '../../log-error.ts'
import type { LogParts } from '../log-parts.ts'
import { storedDraft } from '../stored-entry.ts'
import { AppendQueue } from './append-queue.ts'
import type { AnsweredAppend } from './append-queue-options.ts'
import { type AppendRequest, markOf } from './append-request.ts'
import { LogRepair } from './log-repair.ts'
import type { OutageBridge } from './outage-bridge.ts'

export interface LogAppendsInit extends LogParts {
  /** Whether what is appended under one of these is about to be handed on here. */
  readonly hearsOf: (topics: readonly Topic[]) => boolean
  /** Hands on here what has no place yet, and has the log compared until it has one. */
  readonly handOnUnstored: (entry: LogEntry) => void
  /** Compares the log, and stores what waits before. */
  readonly compare: () => Promise<void>
  /** The same where what was appended is not handed on soon. */
  readonly sync: () => void
  /** The log is not there, or is another: finds it anew. @throws LogClosedError where it is gone for good. */
  readonly findAnew: () => Promise<void>
}

/** An append that is not handed on so soon has a reason. */
const HAND_ON_LIMIT_MS = 250

/** What a node appends to a log, from the call until it is stored and handed on. */
export class LogAppends {
  /** What is under way. */
  readonly queue: AppendQueue
  readonly #init: LogAppendsInit
  readonly #repair: LogRepair
  #cancelSync: (() => void) | undefined

  constructor(init: LogAppendsInit) {
    this.#init = init
    this.#repair = new LogRepair({
      ...init,
      handOn: init.handOnUnstored,
      originOf: (k) => this.#originOf(k),
      unanswered: () => this.queue.unanswered,
      onFound: (k, first) => this.queue.found(k, first),
      onLost: (k, error) => this.queue.lost(k, error),
    })
    this.queue = this.#newQueue()
  }

  /** What waits for Redis, handed on here already. */
  get bridge(): OutageBridge {
    return this.#repair.bridge
  }

  /** Whether there is nothing that a failover could lose, or an outage keeps. */
  get isIdle(): boolean {
    return this.#repair.isIdle
  }

  /** Whether all that was ever appended to the log is kept here. */
  get hasAll(): boolean {
    return this.#repair.hasAll
  }

  async append(batch: readonly Append[], options: AppendOptions): Promise<readonly LogEntry[]> {
    this.refuse(options)
    const drafts = batch.map(storedDraft)
    if (drafts.length === 0 && options.attributes === undefined && options.epoch === undefined) return []
    const appended = await this.#append({
      drafts,
      options,
      againK: this.ownCount(options.again),
      bridges: options.bridges === true,
    })
    return appended.kind === 'appended' ? appended.entries : []
  }

  async appendOnce(
    batch: readonly Append[],
    once: OnceKey,
    { bridges = false }: BridgeOptions,
  ): Promise<OnceAnswer> {
    this.refuse()
    const appended = await this.#append({ drafts: batch.map(storedDraft), once, bridges })
    if (appended.kind === 'appended') return { replayed: false, entries: appended.entries }
    const { n, ms, waits } = appended
    const first = n === 0 ? undefined : { ms, n }
    return waits === true ? { replayed: true, first, waits } : { replayed: true, first }
  }

  async close(terminal: Append, options: AppendOptions): Promise<LogEntry> {
    this.refuse(options)
    const drafts = [storedDraft(terminal)]
    const againK = this.ownCount(options.again)
    const appended = await this.#append({ drafts, options, againK, closes: true })
    const [entry] = appended.kind === 'appended' ? appended.entries : []
    if (entry === undefined) throw new Error('a batch of one is empty')
    return entry
  }

  /** Resolves once what is under way is done, or has failed. */
  async settled(): Promise<void> {
    await this.queue.settled()
    // What cannot be stored now is lost with this process, as whoever sent it was told.
    await this.bridge.flush().catch(() => undefined)
  }

  /** Stores first what the log has lost, then what waits for Redis. @throws what is to be tried again. */
  store(): Promise<void> {
    return this.#repair.store()
  }

  /** The log was found to have lost something: gives what of this node's is lost the places again that it had. */
  putBack(): Promise<'done' | 'taken' | 'nothing'> {
    return this.#repair.putBack()
  }

  /** The log was found to have lost something: looks what of this node's. */
  findLost(): Promise<void> {
    return this.#repair.findLost()
  }

  /** It is to be looked whether what was answered is there, before anything else is sent. */
  doubt(): void {
    this.#repair.doubt()
  }

  /** The log has lost something, or is another, and stands here. */
  rewound({ n }: Position, isAnother: boolean): void {
    if (isAnother) this.queue.release()
    this.queue.rewound(n)
    this.#repair.rewound(n, isAnother)
  }

  /** The log has been compared, is whole, and all of it has been handed on. */
  compared(): void {
    this.queue.handedOn(this.#init.state.head.n)
    this.#repair.compared()
  }

  /** Nobody knows for now when what was appended will be handed on. */
  suspect(): void {
    // Else the next comparison does that.
    if (this.bridge.size > 0 || this.#init.store.unreachable() !== undefined) this.queue.release()
  }

  /** The number of an append of ours by its name. */
  ownCount(origin: string | undefined): number | undefined {
    const { node, count } = parseOrigin(origin) ?? {}
    return node === this.#init.store.node ? count : undefined
  }

  /** Ends what is under way, as the store is closed. */
  end(error: Error): void {
    this.#cancelSync?.()
    this.queue.close(error)
  }

  /** @throws LogClosedError where nothing more is taken. */
  refuse({ again }: AppendOptions = {}): void {
    const { state, name } = this.#init
    // What may have been done may be what closed it.
    const isClosed = state.closed && again === undefined
    if (isClosed || state.isDropped) throw new LogClosedError(name)
  }

  #failure(error: unknown, k?: number): unknown {
    const known = this.#init.store.failure(error)
    if (k === undefined || !(known instanceof StoreUnavailableError)) return known
    return new StoreUnavailableError(known.reason, known.cause, this.#originOf(k))
  }

  #originOf(count: number): string {
    return formatOrigin({ node: this.#init.store.node, count })
  }

  async #append(request: AppendRequest) {
    const { elapsed, onStored } = this.#init.store
    const beganMs = elapsed()
    // What waits is stored first: else this would stand before what readers had earlier.
    if (!request.bridges && this.bridge.size > 0) await this.#init.compare()
    const appended = await this.queue.add(request)
    onStored?.(elapsed() - beganMs)
    return appended
  }

  #newQueue(): AppendQueue {
    const { state, hearsOf, store, keyed } = this.#init
    const { after, elapsed, retryMs } = store
    return new AppendQueue({
      send: (...sent) => this.#repair.sender.send(...sent),
      entryOf: (request, index, position, k) => {
        const draft = request.drafts[index]
        const mark = markOf(request)
        if (draft === undefined) throw new RangeError(`a batch has no entry ${index}`)
        const origin = this.#originOf(k)
        const entry = { ...placedEntry(draft, position, state.idOf(position)), origin }
        return mark === undefined ? entry : keyed.aliased({ ...entry, aliases: [mark] })
      },
      awaitsHandOn: ({ drafts }, last) =>
        last.n > state.head.n && drafts.some(({ topics }) => hearsOf(topics)),
      onAnswered: (request, answered) => this.#onAnswered(request, answered),
      onSeen: (attempt, first) => this.#repair.seen(attempt, first),
      failure: (error, k) => this.#failure(error, k),
      bridge: (attempt) => this.bridge.take(attempt),
      isDown: () => !store.takesWrites(),
      isBridging: () => this.bridge.size > 0,
      isOrdered: state.runId !== undefined,
      after,
      elapsed,
      retryMs,
    })
  }

  #onAnswered({ options, closes = false }: AppendRequest, answered: AnsweredAppend): void {
    const { state, isFollowed } = this.#init
    const { last, isWaiting, attributesVersion } = answered
    if (options?.attributes !== undefined) state.changed(attributesVersion, options.attributes)
    if (!isFollowed() && last !== undefined) {
      state.moveOn({ head: last, origin: '', closed: state.closed || closes })
    }
    if (isWaiting) this.#watch()
  }

  /** Has the log compared, again and again, until nothing waits to be handed on. */
  #watch(): void {
    const { store, sync } = this.#init
    this.#cancelSync ??= store.after(HAND_ON_LIMIT_MS, () => {
      this.#cancelSync = undefined
      if (!this.queue.isAwaiting) return
      sync()
      this.#watch()
    })
  }
}
