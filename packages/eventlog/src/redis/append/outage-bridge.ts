import { formatOrigin } from '@tributary/protocol'
import { RedisUnavailableError } from '@tributary/redis'
import type { LogEntry } from '../../event-log.ts'
import { placedEntry } from '../../log-entry.ts'
import { StoreUnavailableError } from '../../log-error.ts'
import type { LogState } from '../log-state.ts'
import type { LogStore } from '../log-store.ts'
import type { Appended, AppendRequest } from './append-request.ts'
import { markOf } from './append-request.ts'
import type { KeyedEntries } from './keyed-entries.ts'
import { OutageBuffer } from './outage-buffer.ts'
import { ProvisionalEntries } from './provisional-entries.ts'

export interface OutageBridgeInit {
  readonly name: string
  readonly state: LogState
  readonly store: LogStore
  readonly keyed: KeyedEntries
  readonly send: (request: AppendRequest, k: number, again: boolean) => Promise<unknown>
  /** Hands on here what has no place yet. */
  readonly handOn: (entry: LogEntry) => void
}

/** Carries a log over the time that Redis is away: hands appends on here, keeps them, and stores them in order later. */
export class OutageBridge {
  readonly #init: OutageBridgeInit
  readonly #buffer: OutageBuffer
  readonly provisional: ProvisionalEntries
  #isFlushing = false

  constructor(init: OutageBridgeInit) {
    this.#init = init
    this.provisional = new ProvisionalEntries(init.store.node)
    this.#buffer = new OutageBuffer(init.store.outage ?? { maxEvents: 0, maxBytes: 0 })
  }

  /** Appends that wait for Redis. */
  get size(): number {
    return this.#buffer.size
  }

  /** What waits no more is not provisional any more. */
  forgetStored(): void {
    this.provisional.forgetStored(() => this.#buffer.waiting)
  }

  get isFlushing(): boolean {
    return this.#isFlushing
  }

  /** Hands an append on here that cannot be stored now, and keeps it. `undefined` where there is no room. */
  take(request: AppendRequest, k: number, again: boolean): Appended | undefined {
    const { name, state, store, keyed, handOn } = this.#init
    const { drafts, once } = request
    const [draft] = drafts
    // A key may stand alone: of what is told, and not stored.
    if (drafts.length > 1 || (draft === undefined && once === undefined)) return undefined
    if (once !== undefined && this.#buffer.hasKey(once, name))
      return { kind: 'known', n: 0, ms: 0, waits: true }
    const known = once === undefined ? undefined : keyed.placeOf(once, store.now())
    if (known !== undefined) return { kind: 'known', ...known }
    if (!this.#buffer.add({ request, k, again })) return undefined
    if (draft === undefined) return { kind: 'appended', entries: [] }
    const origin = formatOrigin({ node: store.node, count: k })
    const now = { ms: Math.trunc(store.now()), n: state.head.n }
    const mark = markOf(request)
    if (mark !== undefined) keyed.bridge(mark, origin)
    const marks = mark === undefined ? [origin] : [origin, mark]
    const entry: LogEntry = {
      ...placedEntry(draft, now, [state.idOf(state.head), ...marks].join('~')),
      position: state.head,
      origin,
      ...(mark === undefined ? {} : { aliases: [mark] }),
      provisional: true,
    }
    this.provisional.add(entry)
    handOn(entry)
    return { kind: 'appended', entries: [entry] }
  }

  /** Stores what is kept. @throws what it failed with where it is to be tried again. */
  async flush(): Promise<void> {
    if (this.#buffer.size === 0 || this.#isFlushing) return
    this.#isFlushing = true
    try {
      await this.#buffer.flush(
        ({ request, k, again }) => this.#init.send(request, k, again),
        (error) => error instanceof RedisUnavailableError || error instanceof StoreUnavailableError,
      )
    } finally {
      this.#isFlushing = false
    }
  }
}
