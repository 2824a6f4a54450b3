import type { Topic } from '@tributary/protocol'
import type { Following } from '../../following.ts'
import { StoreUnavailableError } from '../../log-error.ts'
import { LogChangedError } from '../log-changed-error.ts'
import type { FollowerHost } from './follower-host.ts'
import { HandedOn } from './handed-on.ts'
import { LogComparison } from './log-comparison.ts'
import { isEphemeral } from './log-message.ts'
import { ToldMessages } from './told-messages.ts'
import type { FollowedTopic, TopicSubscriptions } from './topic-subscriptions.ts'

/** Messages that are held while the log is compared; beyond it they are read instead. */
const MAX_HELD = 10_000
/** How often a log may turn out to be another within one comparison. */
const MAX_REWINDS = 4
/** How soon the log is compared again where it could not be, or where a subscription is away. */
const SUSPECT_SYNC_MS = 250
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
  readonly #handedOn: HandedOn
  readonly #comparison: LogComparison
  readonly #told: ToldMessages
  readonly #joining = new Set<FollowedTopic>()
  readonly #lost = new Set<string>()
  #held: string[] | undefined
  #hasMissed = false
  // Whether something may have been missed; what comes then is left to the next comparison.
  #isSuspect = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #cancelLater: (() => void) | undefined
  #isClosed = false

  constructor(host: FollowerHost, subscriptions: TopicSubscriptions) {
    this.#host = host
    this.#subscriptions = subscriptions
    this.#handedOn = new HandedOn(subscriptions, host.state.head)
    this.#comparison = new LogComparison(host, subscriptions, this.#handedOn)
    this.#told = new ToldMessages(host, this.#handedOn)
  }

  /** Whether what is appended under one of these topics is about to be handed on. */
  hearsOf(topics: readonly Topic[]): boolean {
    if (this.#isClosed || (this.#isSuspect && this.#host.unreachable() !== undefined)) return false
    if (this.#subscriptions.whole !== undefined) return true
    return topics.some((topic) => this.#subscriptions.get(topic) !== undefined)
  }

  /** Whether what is asked now is of the server that has been compared. Who does not follow does not compare. */
  get isSure(): boolean {
    return this.isIdle || this.#comparison.isCurrent
  }

  /** After which number all of these topics has been handed on here; infinite where that is not so. */
  completeFromN(topics: readonly Topic[] | undefined): number {
    return this.#handedOn.completeFromN(topics)
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
      // Nothing is handed on any more that somebody may wait for.
      if (this.#subscriptions.isEmpty) this.#host.onSuspect()
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
    else if (!this.#isSuspect && !this.#told.take(text)) {
      // What comes now waits until the log has been compared.
      this.#held ??= []
      this.syncSoon()
    }
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

  async #compare(): Promise<void> {
    if (this.#isClosed) return
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
      await this.#becomeWhole()
      for (const followed of joining) {
        followed.completeFromN = this.#handedOn.compared.n
        this.#joining.delete(followed)
      }
      host.onCompared()
      isDone = !this.#hasMissed && this.#comparison.isCurrent
    } catch (error) {
      if (!(error instanceof LogChangedError)) throw error
      throw new StoreUnavailableError('a failover has cut the log short, and it is being found anew', error)
    } finally {
      this.#goOn(isDone)
    }
  }

  /** Stores what is lost or waits, and catches up with the log; what it turns out to have lost is stored first. */
  async #becomeWhole(): Promise<void> {
    for (let rounds = 0; rounds < MAX_REWINDS; rounds++) {
      try {
        await this.#host.store()
      } catch (error) {
        if (!(error instanceof LogChangedError)) throw error
      }
      if (this.#isClosed || (await this.#comparison.run())) return
    }
    throw new LogChangedError()
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
}
