import {
  type Cursor,
  formatEventId,
  formatOrigin,
  type Position,
  parseOrigin,
  type Topic,
} from '@tributary/protocol'
import { type RedisScript, RedisUnavailableError } from '@tributary/redis'
import { ChangeListeners } from '../change-listeners.ts'
import { locate, rangeOf } from '../cursor-location.ts'
import { EntryListeners } from '../entry-listeners.ts'
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
import { DEFAULT_PAGE_CHARS, DEFAULT_PAGE_LIMIT } from '../event-log.ts'
import type { Following } from '../following.ts'
import { placedEntry } from '../log-entry.ts'
import { LogClosedError, OnceConflictError, StaleEpochError, StoreUnavailableError } from '../log-error.ts'
import { answeredView } from './answered-view.ts'
import { type AnsweredAppend, type AppendAnswer, AppendQueue } from './append-queue.ts'
import { type Appended, type AppendRequest, appendArguments, markOf } from './append-request.ts'
import { EphemeralMessages } from './ephemeral-messages.ts'
import { KeyedEntries } from './keyed-entries.ts'
import type { LogFields } from './log-fields.ts'
import { type FollowerHost, LogFollower, type LogPlace } from './log-follower.ts'
import type { ToldEntry } from './log-message.ts'
import { APPEND, LOCATE, READ, SYNC } from './log-scripts.ts'
import { OutageBuffer, type OutageLimits } from './outage-buffer.ts'
import { RecentHistory } from './recent-history.ts'
import type { LogKeys } from './redis-keys.ts'
import { AnswerReader, placeOf, type ScriptAnswer } from './script-answer.ts'
import { storedDraft, storedEntry } from './stored-entry.ts'
import type { TopicSubscriptions } from './topic-subscriptions.ts'

/** What the logs of a store share. */
export interface LogStore {
  /** Names this process among all that append. */
  readonly node: string
  readonly publish: string
  /** The time in ms, as scripts take it: '' for the server's. */
  readonly clock: () => string
  readonly now: () => number
  readonly elapsed: () => number
  readonly after: (delayMs: number, callback: () => void) => () => void
  readonly retryMs: number
  /** What may wait while Redis is away; `undefined` where nothing may. */
  readonly outage: OutageLimits | undefined
  readonly tailMaxEvents: number
  readonly tailMaxBytes: number
  /** Runs a script that does no harm if it is run twice. @throws StoreUnavailableError */
  readonly ask: (
    script: RedisScript<ScriptAnswer>,
    keys: LogKeys,
    args: readonly (string | number)[],
  ) => Promise<ScriptAnswer>
  /** Runs one once. @throws RedisUnavailableError */
  readonly run: (
    script: RedisScript<ScriptAnswer>,
    keys: LogKeys,
    args: readonly (string | number)[],
  ) => Promise<ScriptAnswer>
  /** Publishes a message once on each of these channels. @throws RedisUnavailableError */
  readonly tell: (channels: readonly string[], message: string) => Promise<void>
  /** Opens the log anew; `undefined` where there is none, and none is to be made. */
  readonly reload: (keys: LogKeys, makes: boolean) => Promise<LogFields | undefined>
  /** What an error of Redis is answered as. */
  readonly failure: (error: unknown) => unknown
  readonly unreachable: () => Error | undefined
  readonly subscriptions: (
    log: RedisEventLog,
    keys: LogKeys,
    listener: (message: string) => void,
  ) => TopicSubscriptions
  readonly onStored: ((tookMs: number) => void) | undefined
  readonly onError: (error: unknown) => void
  readonly onClosed: (log: RedisEventLog) => void
}

/** Of attributes that are not all known here. */
const UNKNOWN_VERSION = -1
/** An append that is not handed on so soon has a reason. */
const HAND_ON_LIMIT_MS = 250

/** A log in Redis, which any number of processes append to and follow. */
export class RedisEventLog implements EventLog {
  readonly name: string
  readonly #keys: LogKeys
  readonly #store: LogStore
  readonly #options: OpenOptions
  readonly #runId: string | undefined
  readonly #listeners = new EntryListeners()
  readonly #rewindListeners = new ChangeListeners()
  readonly #attributeListeners = new ChangeListeners()
  readonly #appends: AppendQueue
  readonly #follower: LogFollower
  readonly #ephemerals: EphemeralMessages
  readonly #history: RecentHistory
  readonly #keyed = new KeyedEntries()
  #life: string
  #zero: Position
  #attributes: Map<string, string>
  #attributesVersion: number
  #place: LogPlace
  readonly #buffer: OutageBuffer
  // Handed on without a place, and not with one yet.
  #provisional: LogEntry[] = []
  #isFlushing = false
  #dropped = false
  #cancelSync: (() => void) | undefined

  constructor(name: string, keys: LogKeys, fields: LogFields, options: OpenOptions, store: LogStore) {
    const { life, runId, zero, head, closed, attributes, attributesVersion } = fields
    this.name = name
    this.#keys = keys
    this.#store = store
    this.#options = options
    this.#runId = runId
    this.#life = life
    this.#zero = zero
    this.#attributes = attributes
    this.#attributesVersion = attributesVersion
    this.#place = { head, origin: '', closed }
    this.#history = new RecentHistory(
      {
        ...(runId === undefined ? {} : { runId }),
        openedMs: zero.ms,
        retention: options.retention,
        maxEvents: store.tailMaxEvents,
        maxBytes: store.tailMaxBytes,
      },
      head,
    )
    this.#buffer = new OutageBuffer(store.outage ?? { maxEvents: 0, maxBytes: 0 })
    this.#appends = this.#appendQueue()
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
    const host = this.#followerHost()
    const subscriptions = store.subscriptions(this, keys, (message) => this.#follower.onMessage(message))
    this.#follower = new LogFollower(host, subscriptions)
  }

  /** What this node has handed on: everything of the followed topics up to here was offered. */
  get head(): Position {
    return this.#place.head
  }

  get closed(): boolean {
    return this.#place.closed
  }

  get provisional(): readonly LogEntry[] {
    return this.#provisional
  }

  get attributes(): ReadonlyMap<string, string> {
    return this.#attributes
  }

  /** Whether it is in use by nobody but who holds it. */
  get isIdle(): boolean {
    return this.#follower.isIdle && this.#appends.size === 0
  }

  idOf({ ms, n }: Position): string {
    return this.#runId === undefined ? formatEventId({ ms, n }) : formatEventId({ runId: this.#runId, ms, n })
  }

  async append(batch: readonly Append[], options: AppendOptions = {}): Promise<readonly LogEntry[]> {
    this.#refuse(options)
    const drafts = batch.map(storedDraft)
    if (drafts.length === 0 && options.attributes === undefined && options.epoch === undefined) return []
    const appended = await this.#append({
      drafts,
      options,
      againK: this.#ownCount(options.again),
      bridges: options.bridges === true,
    })
    return appended.kind === 'appended' ? appended.entries : []
  }

  async appendOnce(
    batch: readonly Append[],
    once: OnceKey,
    { bridges = false }: BridgeOptions = {},
  ): Promise<OnceAnswer> {
    this.#refuse()
    const appended = await this.#append({ drafts: batch.map(storedDraft), once, bridges })
    if (appended.kind === 'appended') return { replayed: false, entries: appended.entries }
    const { n, ms, waits } = appended
    const first = n === 0 ? undefined : { ms, n }
    return waits === true ? { replayed: true, first, waits } : { replayed: true, first }
  }

  async close(terminal: Append, options: AppendOptions = {}): Promise<LogEntry> {
    this.#refuse(options)
    const drafts = [storedDraft(terminal)]
    const againK = this.#ownCount(options.again)
    const appended = await this.#append({ drafts, options, againK, closes: true })
    const [entry] = appended.kind === 'appended' ? appended.entries : []
    if (entry === undefined) throw new Error('a batch of one is empty')
    return entry
  }

  async tell(telling: Telling): Promise<Told> {
    this.#refuse()
    return this.#ephemerals.tell(telling)
  }

  onTold(listener: (event: EphemeralEvent) => void): () => void {
    return this.#ephemerals.listen(listener)
  }

  async locate(cursor: Cursor, topics?: readonly Topic[]): Promise<StartingPoint> {
    const known = this.#history.locate(cursor, this.#follower.completeFromN(topics), topics)
    if (known !== undefined) return known
    const view = await this.#view(cursor, topics)
    return view === undefined ? { after: this.#zero, gap: 'log_lost' } : locate(view, cursor)
  }

  async read(afterN: number, options: ReadOptions = {}): Promise<Page> {
    const known = this.#history.read(afterN, this.#follower.completeFromN(options.topics), options)
    if (known !== undefined) return known
    // Who follows has what is later told: it would come twice.
    const upToN = this.#follower.isIdle ? undefined : this.head.n
    if (upToN !== undefined && afterN >= upToN) return { entries: [], hasMore: false }
    return this.#readPage(afterN, upToN, options)
  }

  async position(topics?: readonly Topic[]): Promise<LogRange> {
    // At or before the last number there can be is the last there is.
    const view = await this.#view({ kind: 'event', ms: 0, n: Number.MAX_SAFE_INTEGER - 1 }, topics)
    return view === undefined ? { last: this.#zero } : rangeOf(view, topics === undefined)
  }

  tail(listener: (entry: LogEntry) => void): () => void {
    return this.#listeners.add(this.head.n, listener)
  }

  follow(topics?: readonly Topic[]): Following {
    return this.#follower.follow(topics)
  }

  onRewind(listener: () => void): () => void {
    return this.#rewindListeners.add(listener)
  }

  onAttributes(listener: () => void): () => void {
    return this.#attributeListeners.add(listener)
  }

  /** Compares it with what was handed on, where somebody follows it. */
  sync(): void {
    if (!this.#follower.isIdle || this.#buffer.size > 0) this.#follower.syncSoon()
  }

  /** Messages on these channels are missed from here on, or not any more. */
  onChannel(channel: string, isThere: boolean): void {
    if (isThere) this.#follower.regain(channel)
    else this.#follower.lose(channel)
  }

  trim(nowMs: number): void {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options
    // So little is kept that more may be in memory, which would be read on.
    if (maxBytes < 2 * this.#store.tailMaxBytes) this.#history.reset(this.head)
    else this.#history.trim(nowMs)
  }

  /** Resolves once what is under way is done, or has failed. */
  async settled(): Promise<void> {
    await this.#appends.settled()
    // What cannot be stored now is lost with this process, as whoever sent it was told.
    await this.#flush().catch(() => undefined)
  }

  /** Appends that wait for Redis. */
  get bufferedCount(): number {
    return this.#buffer.size
  }

  /** Refuses whatever comes, as the log is dropped. */
  drop(): void {
    this.#dropped = true
    this.#appends.release()
    this.#follower.close()
  }

  /** Ends what is under way, as the store is closed. */
  end(error: Error): void {
    this.#cancelSync?.()
    this.#follower.close()
    this.#ephemerals.close(error)
    this.#appends.close(error)
  }

  #refuse({ again }: AppendOptions = {}): void {
    // What may have been done may be what closed it.
    const isClosed = this.closed && again === undefined
    if (isClosed || this.#dropped) throw new LogClosedError(this.name)
  }

  /** The number of an append of ours by its name. */
  #ownCount(origin: string | undefined): number | undefined {
    const { node, count } = parseOrigin(origin) ?? {}
    return node === this.#store.node ? count : undefined
  }

  #failure(error: unknown, k?: number): unknown {
    const { node, failure } = this.#store
    const known = failure(error)
    if (k === undefined || !(known instanceof StoreUnavailableError)) return known
    return new StoreUnavailableError(known.reason, known.cause, formatOrigin({ node, count: k }))
  }

  async #append(request: AppendRequest) {
    const beganMs = this.#store.elapsed()
    // What waits is stored first: else this would stand before what readers had earlier.
    if (!request.bridges && this.#buffer.size > 0) await this.#follower.sync()
    const appended = await this.#appends.add(request)
    this.#store.onStored?.(this.#store.elapsed() - beganMs)
    return appended
  }

  #appendQueue(): AppendQueue {
    const { after, elapsed, retryMs } = this.#store
    return new AppendQueue({
      send: (request, k, again) => this.#send(request, k, again),
      entryOf: (request, index, position, k) => {
        const draft = request.drafts[index]
        const mark = markOf(request)
        if (draft === undefined) throw new RangeError(`a batch has no entry ${index}`)
        const origin = formatOrigin({ node: this.#store.node, count: k })
        const entry = { ...placedEntry(draft, position, this.idOf(position)), origin }
        return mark === undefined ? entry : this.#keyed.aliased({ ...entry, aliases: [mark] })
      },
      awaitsHandOn: ({ drafts }, last) =>
        last.n > this.head.n && drafts.some(({ topics }) => this.#follower.hearsOf(topics)),
      onAnswered: (request, answered) => this.#onAnswered(request, answered),
      failure: (error, k) => this.#failure(error, k),
      bridge: (request, k, again) => this.#bridge(request, k, again),
      isDown: () => this.#store.unreachable() !== undefined,
      isBridging: () => this.#buffer.size > 0,
      after,
      elapsed,
      retryMs,
    })
  }

  async #send(request: AppendRequest, k: number, again: boolean): Promise<AppendAnswer> {
    const { store, keys } = { store: this.#store, keys: this.#keys }
    const { retention, maxBytes } = this.#options
    const args = appendArguments(request, {
      life: this.#life,
      clock: store.clock(),
      origin: formatOrigin({ node: store.node, count: k }),
      again,
      maxBytes,
      publish: store.publish,
      keys,
      retention,
    })
    const life = this.#life
    const answer = new AnswerReader(await store.run(APPEND, keys, args))
    const kind = answer.text()
    if (kind === 'ok') {
      return { kind: 'appended', first: answer.position(), attributesVersion: answer.number() }
    }
    if (kind === 'known') {
      const { n, ms } = answer.position()
      return { kind, n, ms }
    }
    if (kind === 'closed') throw new LogClosedError(this.name)
    if (kind === 'stale') throw new StaleEpochError(this.name, request.options?.epoch ?? 0, answer.number())
    if (kind === 'conflict') throw new OnceConflictError(this.name)
    if (life === this.#life) await this.#findAnew()
    return this.#send(request, k, again)
  }

  /** The log is not there, or is another. @throws LogClosedError where it is gone for good. */
  async #findAnew(): Promise<void> {
    if (!this.#follower.isIdle && !this.#isFlushing) await this.#follower.sync()
    else {
      const place = await this.#reload()
      if (place !== undefined) this.#follower.rewound(place)
      else this.#dropped = true
    }
    if (this.#dropped) throw new LogClosedError(this.name)
  }

  /** Hands an append on here that cannot be stored now, and keeps it. `undefined` where there is no room. */
  #bridge(request: AppendRequest, k: number, again: boolean): Appended | undefined {
    const { drafts, once } = request
    const [draft] = drafts
    // A key may stand alone: of what is told, and not stored.
    if (drafts.length > 1 || (draft === undefined && once === undefined)) return undefined
    if (once !== undefined && this.#buffer.hasKey(once, this.name))
      return { kind: 'known', n: 0, ms: 0, waits: true }
    const known = once === undefined ? undefined : this.#keyed.placeOf(once, this.#store.now())
    if (known !== undefined) return { kind: 'known', ...known }
    if (!this.#buffer.add({ request, k, again })) return undefined
    if (draft === undefined) return { kind: 'appended', entries: [] }
    const origin = formatOrigin({ node: this.#store.node, count: k })
    const now = { ms: Math.trunc(this.#store.now()), n: this.head.n }
    const mark = markOf(request)
    if (mark !== undefined) this.#keyed.bridge(mark, origin)
    const marks = mark === undefined ? [origin] : [origin, mark]
    const entry: LogEntry = {
      ...placedEntry(draft, now, [this.idOf(this.head), ...marks].join('~')),
      position: this.head,
      origin,
      ...(mark === undefined ? {} : { aliases: [mark] }),
      provisional: true,
    }
    this.#provisional.push(entry)
    this.#follower.pause()
    this.#listeners.tell([entry])
    return { kind: 'appended', entries: [entry] }
  }

  async #flush(): Promise<void> {
    if (this.#buffer.size === 0 || this.#isFlushing) return
    this.#isFlushing = true
    try {
      await this.#buffer.flush(
        ({ request, k, again }) => this.#send(request, k, again),
        (error) => error instanceof RedisUnavailableError || error instanceof StoreUnavailableError,
      )
    } finally {
      this.#isFlushing = false
    }
  }

  #onAnswered({ options, closes = false }: AppendRequest, answered: AnsweredAppend): void {
    const { last, isWaiting, attributesVersion } = answered
    // Who follows may have been told already.
    if (options?.attributes !== undefined && attributesVersion > this.#attributesVersion) {
      // Where others have changed them meanwhile, the next comparison brings all.
      this.#attributesVersion =
        attributesVersion === this.#attributesVersion + 1 ? attributesVersion : UNKNOWN_VERSION
      this.#change(options.attributes)
    }
    if (this.#follower.isIdle && last !== undefined && last.n > this.head.n) {
      this.#move({ head: last, origin: '', closed: this.closed || closes })
    }
    if (!isWaiting) return
    this.#cancelSync ??= this.#store.after(HAND_ON_LIMIT_MS, () => {
      this.#cancelSync = undefined
      if (this.#appends.size > 0) this.sync()
    })
  }

  #change(attributes: Readonly<Record<string, string | null>>): void {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null) this.#attributes.delete(name)
      else this.#attributes.set(name, value)
    }
    this.#attributeListeners.tell()
  }

  #move(place: LogPlace): void {
    const wasClosed = this.closed
    this.#place = place
    this.#history.pass(place.head)
    if (place.closed && !wasClosed) this.#store.onClosed(this)
  }

  #handOn(entries: readonly LogEntry[], place: LogPlace): void {
    this.#move(place)
    for (const entry of entries) {
      this.#history.add(entry)
      this.#keyed.place(entry)
    }
    this.#forgetHandedOn(entries)
    try {
      this.#listeners.tell(entries)
    } catch (error) {
      if (!this.#appends.fail(entries, error)) this.#store.onError(error)
    }
    this.#appends.handedOn(place.head.n)
    if (place.closed) this.#history.clearFrames()
  }

  /** What waits no more has been handed on with its place, or is lost with the log that it was in. */
  #forgetStored(): void {
    if (this.#provisional.length === 0) return
    const { waiting } = this.#buffer
    this.#provisional = this.#provisional.filter(({ origin }) => waiting.has(countOf(origin)))
  }

  /** These have their places now, and so has all that this node appended before them. */
  #forgetHandedOn(entries: readonly LogEntry[]): void {
    if (this.#provisional.length === 0) return
    const own = entries
      .map(({ origin }) => parseOrigin(origin))
      .filter((origin) => origin?.node === this.#store.node)
    const last = own.at(-1)?.count ?? 0
    const aliases = new Set(entries.flatMap((entry) => entry.aliases ?? []))
    // Or another node has stored it.
    this.#provisional = this.#provisional.filter(
      ({ origin = '' }) => countOf(origin) > last && !aliases.has(origin),
    )
  }

  #rewind(place: LogPlace): void {
    this.#forgetStored()
    this.#rewindListeners.tell()
    this.#history.reset(place.head)
    this.#keyed.forgetPlaces()
    this.#move(place)
    this.#appends.release()
  }

  async #reload(): Promise<LogPlace | undefined> {
    // A run that is gone was dropped; a hub goes on with what there is.
    const fields = await this.#store.reload(this.#keys, this.#runId === undefined)
    if (fields === undefined) return undefined
    this.#life = fields.life
    this.#zero = fields.zero
    this.#attributes = fields.attributes
    this.#attributesVersion = fields.attributesVersion
    return { head: fields.head, origin: '', closed: fields.closed }
  }

  async #view(cursor: Cursor, topics: readonly Topic[] | undefined) {
    const asked = cursor.kind === 'time' ? ['time', cursor.ms, 0] : ['event', cursor.ms, cursor.n]
    const answer = new AnswerReader(
      await this.#store.ask(LOCATE, this.#keys, [
        this.#life,
        ...asked,
        topics === undefined ? '0' : '1',
        ...new Set(topics),
      ]),
    )
    if (answer.text() !== 'ok') return undefined
    const view = answeredView(answer, this.#runId)
    if (this.#follower.isIdle && view.head.n > this.head.n) {
      this.#move({ head: view.head, origin: '', closed: view.closed })
    }
    return view
  }

  async #readPage(afterN: number, upToN: number | undefined, options: ReadOptions): Promise<Page> {
    const { topics, limit = DEFAULT_PAGE_LIMIT, maxChars = DEFAULT_PAGE_CHARS } = options
    const args = [
      this.#life,
      afterN,
      upToN ?? '',
      limit,
      maxChars,
      topics === undefined ? '0' : '1',
      ...(topics ?? []),
    ]
    const answer = new AnswerReader(await this.#store.ask(READ, this.#keys, args))
    if (answer.text() !== 'ok') return { entries: [], hasMore: false }
    const head = answer.position()
    const closed = answer.flag()
    const hasMore = answer.flag()
    const lostUpTo = answer.position()
    const entries: LogEntry[] = []
    while (!answer.isAtEnd) {
      const position = placeOf(answer.text())
      const [text, json] = [answer.text(), answer.text()]
      entries.push(this.#keyed.aliased(storedEntry(text, json, position, this.idOf(position))))
    }
    if (this.#follower.isIdle && head.n > this.head.n) this.#move({ head, origin: '', closed })
    return { entries, hasMore, ...(lostUpTo.n > afterN ? { lostUpTo } : {}) }
  }

  #followerHost(): FollowerHost {
    const { after, unreachable, onError, ask } = this.#store
    const log = this
    return {
      get life() {
        return log.#life
      },
      get attributesVersion() {
        return log.#attributesVersion
      },
      get place() {
        return log.#place
      },
      handOn: (entries, place) => this.#handOn(entries, place),
      entryOf: (told, origin) => this.#toldEntry(told, origin),
      onAttributes: (version, change) => {
        this.#attributesVersion = version
        if (change instanceof Map) {
          this.#attributes = new Map(change)
          this.#attributeListeners.tell()
        } else this.#change(Object.fromEntries(Object.entries(change)))
      },
      onDropped: () => this.drop(),
      onEphemeral: (message) => this.#ephemerals.take(message),
      rewind: (place) => this.#rewind(place),
      flush: () => this.#flush(),
      onCompared: () => this.#forgetStored(),
      reload: () => this.#reload(),
      onSuspect: () => this.#appends.release(),
      compare: (args) => ask(SYNC, this.#keys, args),
      readPage: async (afterN, upToN, topics) => {
        const page = await this.#readPage(afterN, upToN, topics === undefined ? {} : { topics })
        const own = (entry: LogEntry) => this.#appends.answeredEntryAt(entry.position) ?? entry
        return { ...page, entries: page.entries.map(own) }
      },
      unreachable,
      onError,
      after,
    }
  }

  #toldEntry({ position, index, head, json }: ToldEntry, origin: string): LogEntry {
    const { node, count } = parseOrigin(origin) ?? { node: '', count: 0 }
    const own = node === this.#store.node ? this.#appends.entryAt(count, index, position) : undefined
    return own ?? this.#keyed.aliased(storedEntry(head, json, position, this.idOf(position)))
  }
}

function countOf(origin: string | undefined): number {
  return parseOrigin(origin)?.count ?? 0
}
