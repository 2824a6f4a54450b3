import { formatOrigin, parseOrigin } from '@tributary/protocol'
import { RedisUnavailableError } from '@tributary/redis'
import type { LogEntry } from '../../event-log.ts'
import { placedEntry } from '../../log-entry.ts'
import type { LogParts } from '../log-parts.ts'
import type { LogStore } from '../log-store.ts'
import type { StoredDraft } from '../stored-entry.ts'
import type { Answered, AnsweredAppends } from './answered-appends.ts'
import type { Appended, Attempt } from './append-request.ts'
import { markOf } from './append-request.ts'
import type { SendInOrder } from './ordered-batch.ts'
import { OutageBuffer } from './outage-buffer.ts'
import { ProvisionalEntries } from './provisional-entries.ts'

export interface OutageBridgeInit extends Pick<LogParts, 'name' | 'state' | 'keyed'> {
  readonly store: Pick<LogStore, 'node' | 'outage' | 'now'>
  readonly answered: AnsweredAppends
  readonly send: SendInOrder<Attempt>
  /** Whether what that failed with is to be tried again. */
  readonly isAway: (error: unknown) => boolean
  /** Hands on here what has no place yet. */
  readonly handOn: (entry: LogEntry) => void
}

/** Carries a log over the time that Redis is away: hands appends on here, keeps them, and stores them in order later. */
export class OutageBridge {
  readonly #init: OutageBridgeInit
  readonly #buffer: OutageBuffer
  readonly provisional: ProvisionalEntries
  #isFlushing = false
  #refusal: string | undefined

  constructor(init: OutageBridgeInit) {
    this.#init = init
    this.provisional = new ProvisionalEntries(init.store.node)
    this.#buffer = new OutageBuffer(init.store.outage ?? { maxEvents: 0, maxBytes: 0 })
  }

  /** Appends that wait for Redis. */
  get size(): number {
    return this.#buffer.size
  }

  /** What readers are offered who come now. What another has stored for its key they have, or get, at its place. */
  get unplaced(): readonly LogEntry[] {
    const { keyed } = this.#init
    return this.provisional.all.filter(({ aliases }) => !aliases?.some((mark) => keyed.isPlaced(mark)))
  }

  /** Why what waits could not be stored when it was last tried, for people; undefined where it was not, or could. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  /** What was sent, and waits as no answer came. */
  get unanswered(): readonly Attempt[] {
    return this.#buffer.unanswered
  }

  /** It stands in the log already. Answers whether it waited here. */
  found(k: number): boolean {
    return this.#buffer.take(k)
  }

  /** These have been handed on with their places, and all that stands before them. */
  handedOn(entries: readonly LogEntry[]): void {
    const { answered, store } = this.#init
    for (const { origin } of entries) {
      const { node, count = 0 } = parseOrigin(origin) ?? {}
      if (node === store.node) answered.handedOn(count)
    }
    this.provisional.forgetHandedOn(entries)
    // Of topics that nobody follows here nothing is handed on.
    this.forgetStored()
  }

  /** What waits no more is not provisional any more. */
  forgetStored(): void {
    const { answered, state } = this.#init
    this.provisional.forgetStored(() => {
      const unsettled = answered.unsettled(state.head.n).map(({ k }) => k)
      return new Set([...this.#buffer.waiting, ...unsettled])
    })
  }

  /**
   * The log was rewound: what is sent again may stand behind this number. What is lost comes before what waits, for readers
   * who find their places anew, so that these have all of it in order.
   */
  rewound(n: number): void {
    this.#buffer.rewound(n)
    this.forgetStored()
    this.provisional.rewound(this.#init.state.head)
    const lost = this.#notNoted(this.#init.answered.unsettled(n))
    this.provisional.addFirst(lost.flatMap((item) => this.#entriesOf(item)))
  }

  /** Hands an append on here that cannot be stored now, and keeps it. `undefined` where there is no room. */
  take(attempt: Attempt): Appended | undefined {
    const { name, store, keyed, answered, state, handOn } = this.#init
    const { drafts, once } = attempt.request
    const [draft] = drafts
    // A key may stand alone: of what is told, and not stored.
    if (drafts.length > 1 || (draft === undefined && once === undefined)) return undefined
    if (once !== undefined && this.#buffer.hasKey(once, name))
      return { kind: 'known', n: 0, ms: 0, waits: true }
    const known = once === undefined ? undefined : keyed.placeOf(once, store.now())
    if (known !== undefined) return { kind: 'known', ...known }
    if (!this.#buffer.hasRoomFor(attempt)) return undefined
    // What Redis has, by its answer, and has not told before it went away stands before what comes now.
    const unseen = draft === undefined ? [] : this.#notNoted(answered.unseen(state.head.n))
    // Who has one of a batch would be taken to have them all.
    if (unseen.some(({ request }) => request.drafts.length > 1)) return undefined
    this.#buffer.add(attempt)
    const entries = this.#entriesOf(attempt)
    for (const entry of [...unseen.flatMap((item) => this.#entriesOf(item)), ...entries]) {
      this.provisional.add(entry)
      // Asked for again after a failover: it is stored again, and whoever was here has had it.
      if (!entry.aliases?.some((mark) => keyed.wasHandedOn(mark))) handOn(entry)
    }
    return { kind: 'appended', entries }
  }

  /** Stores what is kept. @throws what it failed with where it is to be tried again. */
  async flush(): Promise<void> {
    if (this.#buffer.size === 0 || this.#isFlushing) return
    this.#isFlushing = true
    try {
      const { send, isAway } = this.#init
      await this.#buffer.flush(send, isAway)
      this.#refusal = undefined
    } catch (error) {
      this.#refusal = error instanceof RedisUnavailableError ? error.reason : undefined
      throw error
    } finally {
      this.#isFlushing = false
    }
  }

  /** Those that readers may be told of before their place, and are not already. */
  #notNoted(items: readonly Answered[]): readonly Answered[] {
    if (items.length === 0) return items
    const noted = this.provisional.counts
    return items.filter(({ request, k }) => {
      if (!request.bridges || request.drafts.length === 0 || noted.has(k)) return false
      // Where another has stored it for its key, that is what was handed on.
      const mark = markOf(request)
      return mark === undefined || !this.#init.keyed.isPlaced(mark)
    })
  }

  #entriesOf({ request, k }: Attempt): LogEntry[] {
    return request.drafts.map((draft) => this.#entryOf(draft, markOf(request), k))
  }

  #entryOf(draft: StoredDraft, mark: string | undefined, k: number): LogEntry {
    const { state, store, keyed } = this.#init
    const origin = formatOrigin({ node: store.node, count: k })
    const now = { ms: Math.trunc(store.now()), n: state.head.n }
    if (mark !== undefined) keyed.bridge(mark, origin)
    // As in the cursor of a reader who was sent nothing else.
    const marks = [origin, origin, ...(mark === undefined ? [] : [mark])]
    return {
      ...placedEntry(draft, now, [state.idOf(state.head), ...marks].join('~')),
      position: state.head,
      origin,
      ...(mark === undefined ? {} : { aliases: [mark] }),
      provisional: true,
    }
  }
}
