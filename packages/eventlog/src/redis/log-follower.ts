import type { Position, Topic } from '@tributary/protocol'
import type { LogEntry, Page } from '../event-log.ts'
import type { Following } from '../following.ts'
import { indexedTopics } from '../log-window.ts'
import { isEphemeral, type LogMessage, parseLogMessage, type ToldEntry } from './log-message.ts'
import { AnswerReader, type ScriptAnswer } from './script-answer.ts'
import type { FollowedTopic, TopicSubscriptions } from './topic-subscriptions.ts'

/** Where a node stands in a log. */
export interface LogPlace {
  readonly head: Position
  /** Who appended what stands there; '' where that is not known. */
  readonly origin: string
  readonly closed: boolean
}

/** What a follower needs of its log. */
export interface FollowerHost {
  readonly life: string
  readonly attributesVersion: number
  readonly place: LogPlace
  /** Moves there, and tells these of what is new. */
  handOn(entries: readonly LogEntry[], place: LogPlace): void
  entryOf(told: ToldEntry, origin: string): LogEntry
  onAttributes(
    version: number,
    change: Readonly<Record<string, string | null>> | ReadonlyMap<string, string>,
  ): void
  onDropped(): void
  /** Something was told that is in no log. */
  onEphemeral(message: string): void
  /** The log has not got what was handed on, or not any more: its readers find their places anew. */
  rewind(place: LogPlace): void
  /** Stores what waits for that, before anything else is handed on. */
  flush(): Promise<void>
  /** All that was stored before the comparison began has been handed on. */
  onCompared(): void
  /** Loads what the log is now. Answers where it stands; `undefined` where there is none any more. */
  reload(): Promise<LogPlace | undefined>
  /** Nobody knows for now when what was appended will be handed on. */
  onSuspect(): void
  compare(args: readonly (string | number)[]): Promise<ScriptAnswer>
  readPage(afterN: number, upToN: number, topics: readonly Topic[] | undefined): Promise<Page>
  /** Why nothing can be followed now; `undefined` where it can. */
  unreachable(): Error | undefined
  onError(error: unknown): void
  after(delayMs: number, callback: () => void): () => void
}

/** Messages that are held while the log is compared; beyond it they are read instead. */
const MAX_HELD = 10_000
/** How soon the log is compared again where it could not be, or where a subscription is away. */
const SUSPECT_SYNC_MS = 250
/** Whoever is further behind than so many pages lets its readers read by themselves. */
const MAX_PAGES = 16
/** How soon it is looked again whether a topic is followed. */
const FOLLOW_AGAIN_MS = 20
/** How long a server may take to acknowledge a subscription. */
const SUBSCRIBE_LIMIT_MS = 5_000

/**
 * Hands on what is told of the followed topics of a log, in its order and without a hole.
 *
 * Messages are hints. As long as none can have been missed, each is handed on as it comes: all channels of a log are
 * told by one server over one connection, so that what comes is in the order of the numbers. Whenever one may have been
 * missed, the log is compared with what was handed on, what lies between is read, and messages wait meanwhile.
 */
export class LogFollower {
  readonly #host: FollowerHost
  readonly #subscriptions: TopicSubscriptions
  readonly #joining = new Set<FollowedTopic>()
  readonly #lost = new Set<string>()
  #held: string[] | undefined
  #hasMissed = false
  // Everything of the followed topics up to here has been handed on, at the last comparison.
  #comparedN: number
  // Whether something may have been missed; what comes then is left to the next comparison.
  #isSuspect = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #cancelLater: (() => void) | undefined
  #isClosed = false

  constructor(host: FollowerHost, subscriptions: TopicSubscriptions) {
    this.#host = host
    this.#subscriptions = subscriptions
    this.#comparedN = host.place.head.n
  }

  /** Whether what is appended under one of these topics is about to be handed on. */
  hearsOf(topics: readonly Topic[]): boolean {
    if (this.#isSuspect || this.#isClosed) return false
    if (this.#subscriptions.whole !== undefined) return true
    return topics.some((topic) => this.#subscriptions.get(topic) !== undefined)
  }

  /** After which number all of these topics has been handed on here; infinite where that is not so. */
  completeFromN(topics: readonly Topic[] | undefined): number {
    const whole = this.#subscriptions.whole
    if (whole !== undefined) return whole.completeFromN ?? Number.POSITIVE_INFINITY
    if (topics === undefined) return Number.POSITIVE_INFINITY
    let fromN = 0
    for (const topic of topics) {
      const n = this.#subscriptions.get(topic)?.completeFromN ?? Number.POSITIVE_INFINITY
      if (n > fromN) fromN = n
    }
    return fromN
  }

  follow(topics: readonly Topic[] | undefined): Following {
    let ended = false
    const subscribed = this.#subscriptions.add(topics, (added) => this.#joining.add(added))
    const ready = this.#becomeReady(topics, subscribed, () => ended)
    // Whoever ends it before it is ready may not wait for it.
    ready.catch(() => undefined)
    const end = () => {
      if (ended) return
      ended = true
      this.#subscriptions.remove(topics, (removed) => this.#joining.delete(removed))
      for (const channel of this.#lost) if (!this.#subscriptions.has(channel)) this.#lost.delete(channel)
    }
    return { ready, end }
  }

  /** Messages on this channel are missed from here on. */
  lose(channel: string): void {
    if (!this.#subscriptions.has(channel)) return
    this.#lost.add(channel)
    // Also of what is held: it may be back before the comparison that is under way has ended.
    this.#hasMissed = true
    this.#suspect()
  }

  /** This channel is subscribed again. */
  regain(channel: string): void {
    if (this.#lost.delete(channel) && this.#lost.size === 0) this.syncSoon()
  }

  /** Compares the log with what was handed on, and hands on what was not. Resolves after one that began after the call. */
  sync(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#compare().finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.sync()
      })
    return this.#next
  }

  /** The same for who does not wait for it. */
  syncSoon(): void {
    // It tries again by itself.
    if (!this.#isClosed) this.sync().catch(() => undefined)
  }

  /** Nothing of others is handed on before the next comparison, which is tried until it succeeds. */
  pause(): void {
    this.#hasMissed = true
    this.#suspect()
  }

  /** The log has turned out to be another. */
  rewound(place: LogPlace): void {
    this.#comparedN = place.head.n
    for (const followed of this.#subscriptions.all()) {
      followed.lastN = 0
      if (followed.completeFromN !== undefined) followed.completeFromN = place.head.n
    }
    this.#host.rewind(place)
  }

  /** Whether there is anything to compare. */
  get isIdle(): boolean {
    return this.#subscriptions.isEmpty
  }

  onMessage(text: string): void {
    if (this.#held !== undefined) {
      if (this.#held.length < MAX_HELD) this.#held.push(text)
      else this.#hasMissed = true
      return
    }
    if (this.#isClosed) return
    // Of this nothing can be read later.
    if (isEphemeral(text)) this.#host.onEphemeral(text)
    else if (!this.#isSuspect) this.#onLogMessage(text)
  }

  #onLogMessage(text: string): void {
    const message = parseLogMessage(text)
    // Whatever it is, the log says what is true.
    if (message === undefined || message.life !== this.#host.life) this.#doubt()
    else this.#take(message)
  }

  /** Something came before that was not told: what comes now waits until the log has been compared. */
  #doubt(): void {
    this.#held ??= []
    this.syncSoon()
  }

  close(): void {
    this.#isClosed = true
    this.#cancelLater?.()
    this.#subscriptions.close()
  }

  async #becomeReady(
    topics: readonly Topic[] | undefined,
    subscribed: Promise<unknown> | undefined,
    isEnded: () => boolean,
  ): Promise<void> {
    const error = this.#host.unreachable()
    if (error !== undefined) throw error
    if (subscribed !== undefined) await this.#inTime(subscribed)
    await this.sync()
    // Its subscription may have been away, and not been missed yet, when the log was compared.
    while (!this.#isClosed && !isEnded() && this.completeFromN(topics) === Number.POSITIVE_INFINITY) {
      await this.#inTime(new Promise<void>((resolve) => this.#host.after(FOLLOW_AGAIN_MS, resolve)))
      await this.sync()
    }
  }

  async #inTime(subscribed: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<never>()
    const cancel = this.#host.after(SUBSCRIBE_LIMIT_MS, () =>
      late.reject(this.#host.unreachable() ?? new Error('The server does not acknowledge a subscription')),
    )
    try {
      await Promise.race([subscribed, late.promise])
    } finally {
      cancel()
    }
  }

  #take(message: LogMessage): void {
    if (message.kind === 'dropped') this.#host.onDropped()
    else if (message.kind === 'hint') {
      if (message.n > this.#host.place.head.n) this.#doubt()
    } else if (message.kind === 'attributes') this.#takeAttributes(message.version, message.json)
    else this.#takeEntries(message.origin, message.entries)
  }

  #takeAttributes(version: number, json: string): void {
    if (version <= this.#host.attributesVersion) return
    const change: unknown = version === this.#host.attributesVersion + 1 ? JSON.parse(json) : undefined
    if (isAttributes(change)) this.#host.onAttributes(version, change)
    else this.syncSoon()
  }

  #takeEntries(origin: string, told: readonly ToldEntry[]): void {
    const { place } = this.#host
    const fresh = told.filter(({ position }) => position.n > place.head.n)
    const last = fresh.at(-1)
    if (last === undefined) return
    const entries: LogEntry[] = []
    let beforeN = 0
    for (const each of fresh) {
      const entry = this.#host.entryOf(each, origin)
      if (this.#isBehindHole(entry, each, beforeN)) {
        this.#doubt()
        return
      }
      beforeN = each.position.n
      entries.push(entry)
    }
    // Others share a channel with those that are followed here.
    const followed = entries.filter((entry) => this.#note(entry))
    this.#host.handOn(followed, {
      head: last.position,
      origin,
      closed: place.closed || last.isTerminal,
    })
  }

  /** Whether something of one of its topics was before it that has not been handed on. */
  #isBehindHole({ topics, position }: LogEntry, { previous }: ToldEntry, toldN: number): boolean {
    const isKnown = (n: number, followed: FollowedTopic | undefined) =>
      followed?.completeFromN === undefined || n <= Math.max(toldN, this.#knownN(followed))
    if (!isKnown(position.n - 1, this.#subscriptions.whole)) return true
    return topics.some((topic, i) => !isKnown(previous[i] ?? 0, this.#subscriptions.get(topic)))
  }

  #knownN({ lastN, completeFromN = 0 }: FollowedTopic): number {
    return Math.max(lastN, completeFromN, this.#comparedN)
  }

  /** Notes an entry that is handed on. Answers whether it is followed. */
  #note({ topics, position: { n } }: LogEntry): boolean {
    const { whole } = this.#subscriptions
    if (whole !== undefined) whole.lastN = n
    let isFollowed = whole !== undefined
    for (const topic of indexedTopics(topics)) {
      const followed = this.#subscriptions.get(topic)
      if (followed === undefined) continue
      followed.lastN = n
      isFollowed = true
    }
    return isFollowed
  }

  async #compare(): Promise<void> {
    if (this.#isClosed) return
    if (this.#subscriptions.isEmpty) {
      await this.#host.flush()
      return
    }
    const host = this.#host
    // What is subscribed, or has been and is away: then nothing is handed on but by comparison.
    const joining = [...this.#joining].filter(
      ({ channel: { name, subscription } }) => subscription.isActive || this.#lost.has(name),
    )
    this.#cancelLater?.()
    this.#held ??= []
    // What is away now is back after the log has been looked at, and has missed what came between.
    this.#hasMissed = this.#lost.size > 0
    let isDone = false
    try {
      await host.flush()
      const { head, origin } = host.place
      const args = [host.life, head.n, head.ms, origin, this.#comparedN, host.attributesVersion]
      const answer = new AnswerReader(await host.compare(args))
      if (answer.text() === 'ok') await this.#catchUp(answer)
      else await this.#rewind()
      for (const followed of joining) {
        followed.completeFromN = this.#comparedN
        this.#joining.delete(followed)
      }
      host.onCompared()
      isDone = !this.#hasMissed
    } finally {
      this.#goOn(isDone)
    }
  }

  #goOn(isDone: boolean): void {
    const held = this.#held ?? []
    this.#held = undefined
    if (this.#isClosed) return
    if (isDone) {
      this.#isSuspect = false
      for (const text of held) this.onMessage(text)
      return
    }
    this.#suspect()
    for (const text of held) if (isEphemeral(text)) this.#host.onEphemeral(text)
  }

  #suspect(): void {
    if (this.#isClosed) return
    this.#isSuspect = true
    this.#host.onSuspect()
    this.#cancelLater?.()
    this.#cancelLater = this.#host.after(SUSPECT_SYNC_MS, () => this.syncSoon())
  }

  async #catchUp(answer: AnswerReader): Promise<void> {
    const host = this.#host
    const head = answer.position()
    const closed = answer.flag()
    const version = answer.number()
    const attributes = new Map<string, string>()
    for (let count = answer.number(); count > 0; count--) attributes.set(answer.text(), answer.text())
    if (version !== host.attributesVersion) host.onAttributes(version, attributes)
    const place = { head, origin: '', closed }
    const topics = this.#changed(answer)
    if (topics === undefined || topics.length > 0) await this.#readUpTo(place, topics)
    if (head.n > host.place.head.n) host.handOn([], place)
    this.#comparedN = head.n
  }

  /** Those that have something that was not handed on; `undefined` for everything. */
  #changed(answer: AnswerReader): Topic[] | undefined {
    const topics: Topic[] = []
    let isAny = false
    while (!answer.isAtEnd) {
      const topic = answer.text()
      const lastN = answer.number()
      isAny = true
      const followed = this.#subscriptions.get(topic)
      if (followed?.completeFromN !== undefined && lastN > this.#knownN(followed)) topics.push(topic)
    }
    return isAny && this.#subscriptions.whole !== undefined ? undefined : topics
  }

  async #readUpTo(place: LogPlace, topics: readonly Topic[] | undefined): Promise<void> {
    const host = this.#host
    const { head } = place
    for (let pages = 0; host.place.head.n < head.n; pages++) {
      const beforeN = host.place.head.n
      const { entries, hasMore, lostUpTo } = await host.readPage(beforeN, head.n, topics)
      // Each reader reads on by itself, and is told what is gone where it concerns it.
      if (pages === MAX_PAGES || (lostUpTo !== undefined && lostUpTo.n > beforeN)) {
        host.rewind(place)
        return
      }
      for (const entry of entries) this.#note(entry)
      const last = entries.at(-1)
      if (last !== undefined) {
        const isEnd = last.position.n === head.n
        host.handOn(entries, isEnd ? place : { head: last.position, origin: '', closed: host.place.closed })
      }
      if (!hasMore) return
    }
  }

  async #rewind(): Promise<void> {
    const place = await this.#host.reload()
    if (place === undefined) {
      this.#host.onDropped()
      return
    }
    this.rewound(place)
  }
}

function isAttributes(value: unknown): value is Record<string, string | null> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => text === null || typeof text === 'string')
  )
}
