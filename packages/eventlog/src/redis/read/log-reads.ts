import { type Cursor, type Position, parseOrigin, type Topic } from '@tributary/protocol'
import { RedisReplyError } from '@tributary/redis'
import { locate, rangeOf } from '../../cursor-location.ts'
import {
  DEFAULT_PAGE_CHARS,
  DEFAULT_PAGE_LIMIT,
  type LogEntry,
  type LogRange,
  type Page,
  type ReadOptions,
  type StartingPoint,
} from '../../event-log.ts'
import { StoreUnavailableError } from '../../log-error.ts'
import { KEEP_MS } from '../append/answered-appends.ts'
import { findPlaces } from '../find-places.ts'
import type { LogParts } from '../log-parts.ts'
import { LOCATE, READ } from '../log-scripts.ts'
import { AnswerReader, placeOf } from '../script-answer.ts'
import { readableEntry } from '../stored-entry.ts'
import { answeredView } from './answered-view.ts'
import { LostEntries } from './lost-entries.ts'
import { OvertakenEntries } from './overtaken-entries.ts'
import { RecentHistory } from './recent-history.ts'

/** How often it is looked whether that is whole again which is read. */
const LOST_WAIT_MS = 100
/** Until who reads is told that it is not, in ms. */
const LOST_LIMIT_MS = 5_000
/** What is asked for is not all there. */
const LACKING = Symbol('lacking')
const NO_ENTRIES: Page = { entries: [], hasMore: false }

/** How old what is read may be, in ms, that somebody is likely to ask for again. */
const RECENT_MS = 60_000

/** A page, and where the log stood that it is of; infinite where there is none any more, and less than any of a run's then. */
export interface ReadPage extends Page {
  readonly headN: number
}

export interface LogReadsInit extends LogParts {
  /** After which number all of these topics has been handed on here; infinite where that is not so. */
  readonly completeFromN: (topics: readonly Topic[] | undefined) => number
  /** Whether Redis is asked that has been compared with what was handed on, and not perhaps another server. */
  readonly isSure: () => boolean
  /** Has the log compared with what was handed on. */
  readonly compare: () => Promise<void>
}

/** What is read of a log: from memory what this node has handed on, the rest from Redis. */
export class LogReads {
  readonly history: RecentHistory
  readonly overtaken = new OvertakenEntries()
  readonly lost = new LostEntries()
  readonly #init: LogReadsInit
  #hasToldUnreadable = false

  constructor(init: LogReadsInit) {
    const { options, state, store } = init
    this.#init = init
    this.history = new RecentHistory(
      {
        ...(state.runId === undefined ? {} : { runId: state.runId }),
        openedMs: state.zero.ms,
        retention: options.retention,
        maxEvents: store.tailMaxEvents,
        maxBytes: store.tailMaxBytes,
      },
      state.head,
    )
  }

  async locate(cursor: Cursor, topics?: readonly Topic[]): Promise<StartingPoint> {
    const start = this.overtaken.judge(await this.#locate(cursor, topics), cursor, topics)
    return this.lost.judge(start, { cursor, topics, nowMs: this.#init.store.elapsed() })
  }

  /** The log was found to have lost something: looks what others have appended to it lately, and it has no more. */
  async findLost(head: Position): Promise<void> {
    const { state, store } = this.#init
    const others = this.history
      .since(state.head.ms - KEEP_MS)
      .filter(({ origin }) => origin !== undefined && parseOrigin(origin)?.node !== store.node)
    const [oldest] = others
    if (state.runId !== undefined || oldest === undefined) return
    const names = others.map(({ origin = '' }) => ({ origin, key: '' }))
    const found = await findPlaces(this.#init, oldest.position.n - 1, names)
    if (found === undefined) return
    const lost = others.filter(
      ({ position }, i) => found.places[i] === undefined && position.n >= found.oldestN,
    )
    this.lost.add(lost, head, store.elapsed())
  }

  async #locate(cursor: Cursor, topics: readonly Topic[] | undefined): Promise<StartingPoint> {
    const known = this.history.locate(cursor, this.#init.completeFromN(topics), topics)
    if (known !== undefined) return known
    const view = await this.#whenSure(() => this.#view(cursor, topics))
    return view === undefined ? { after: this.#init.state.zero, gap: 'log_lost' } : locate(view, cursor)
  }

  async read(afterN: number, options: ReadOptions): Promise<Page> {
    const { state, isFollowed, completeFromN } = this.#init
    const { rewinds } = state
    const known = () => this.history.read(afterN, completeFromN(options.topics), options)
    const asked = async () => {
      // Its reader finds its place anew.
      if (state.rewinds !== rewinds) return NO_ENTRIES
      // Who follows has what is later told: it would come twice.
      const upToN = isFollowed() ? state.head.n : undefined
      if (upToN !== undefined && afterN >= upToN) return NO_ENTRIES
      const { headN, ...page } = await this.page(afterN, upToN, options)
      // Else a failover has lost what was handed on here: that is put back, or the log is found to be another.
      return upToN === undefined || headN >= upToN ? page : LACKING
    }
    // What is here needs nobody who is asked.
    return known() ?? (await this.#whenSure(async () => known() ?? (await asked())))
  }

  /**
   * Asks where the server is surely the one that was compared, and not another after a failover.
   *
   * @throws StoreUnavailableError where that is not so for a while.
   */
  async #whenSure<T>(ask: () => Promise<T | typeof LACKING>): Promise<T> {
    const { state, store, isSure, compare } = this.#init
    const untilMs = store.elapsed() + LOST_LIMIT_MS
    if (!isSure()) await compare().catch(() => undefined)
    for (let tries = 0; ; tries++) {
      const { rewinds } = state
      const answer = isSure() ? await ask() : LACKING
      if (answer !== LACKING && isSure() && state.rewinds === rewinds) return answer
      if (store.elapsed() >= untilMs)
        throw store.unreachable() ?? new StoreUnavailableError('what a failover lost is not put back yet')
      // From then on that is done by itself until it succeeds, and no more often: an owner has time to put back what is lost.
      if (tries === 0) compare().catch(() => undefined)
      await new Promise<void>((resolve) => store.after(LOST_WAIT_MS, resolve))
    }
  }

  async position(topics?: readonly Topic[]): Promise<LogRange> {
    // At or before the last number there can be is the last there is.
    const view = await this.#view({ kind: 'event', ms: 0, n: Number.MAX_SAFE_INTEGER - 1 }, topics)
    return view === undefined ? { last: this.#init.state.zero } : rangeOf(view, topics === undefined)
  }

  /** A page as it is in Redis. @param upToN the last number that is read. Default: all there is. */
  async page(afterN: number, upToN: number | undefined, options: ReadOptions): Promise<ReadPage> {
    const { keys, state, store, isFollowed } = this.#init
    const { topics, limit = DEFAULT_PAGE_LIMIT, maxChars = DEFAULT_PAGE_CHARS } = options
    const which = topics === undefined ? ['0'] : ['1', ...topics]
    const answer = new AnswerReader(
      await store.ask(READ, keys, [state.life, afterN, upToN ?? '', limit, maxChars, ...which]),
    )
    if (answer.text() !== 'ok') return { entries: [], hasMore: false, headN: this.#headOfNone }
    const head = answer.position()
    const closed = answer.flag()
    const more = answer.flag()
    const trimmedUpTo = answer.position()
    const { entries, lostUpTo = trimmedUpTo, isCut } = this.#readable(answer)
    const hasMore = more || isCut
    if (isFollowed()) state.saw(head)
    else state.moveOn({ head, origin: '', closed })
    return { entries, hasMore, headN: head.n, ...(lostUpTo.n > afterN ? { lostUpTo } : {}) }
  }

  /** A run that is gone may be about to be made again. */
  get #headOfNone(): number {
    const { runId, isDropped } = this.#init.state
    return runId === undefined || isDropped ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  }

  /**
   * The entries of an answer up to the first that is none of ours, as one that somebody has written by hand: whoever reads
   * on begins behind it, and is told that it is lost.
   */
  #readable(answer: AnswerReader): { entries: LogEntry[]; lostUpTo?: Position; isCut: boolean } {
    const { state } = this.#init
    const entries: LogEntry[] = []
    let lostUpTo: Position | undefined
    while (!answer.isAtEnd) {
      const position = placeOf(answer.text())
      const [text, json] = [answer.text(), answer.text()]
      const entry = readableEntry(text, json, position, state.idOf(position))
      if (entry === undefined) this.#tellUnreadable(position)
      if (entry !== undefined) entries.push(this.#noted(entry))
      else if (entries.length === 0) lostUpTo = position
      else return { entries, ...(lostUpTo && { lostUpTo }), isCut: true }
    }
    return { entries, ...(lostUpTo && { lostUpTo }), isCut: false }
  }

  /** Readers who find their places anew have it from here: asked for again it need not be handed on. */
  #noted(entry: LogEntry): LogEntry {
    const { keyed, store } = this.#init
    if (entry.position.ms > store.now() - RECENT_MS) keyed.place(entry)
    return keyed.aliased(entry)
  }

  /** Once: each who reads comes upon it. */
  #tellUnreadable({ n, ms }: Position): void {
    if (this.#hasToldUnreadable) return
    this.#hasToldUnreadable = true
    const { name, store } = this.#init
    store.onError(new RedisReplyError(`the entry ${n}-${ms} of ${name} is none of ours, and counts as lost`))
  }

  trim(nowMs: number): void {
    const { options, state, store } = this.#init
    const { maxBytes = Number.POSITIVE_INFINITY } = options
    // So little is kept that more may be in memory, which would be read on.
    if (maxBytes < 2 * store.tailMaxBytes) this.history.reset(state.head)
    else this.history.trim(nowMs)
  }

  async #view(cursor: Cursor, topics: readonly Topic[] | undefined) {
    const { keys, state, store, isFollowed } = this.#init
    const asked = cursor.kind === 'time' ? ['time', cursor.ms, 0] : ['event', cursor.ms, cursor.n]
    const which = topics === undefined ? ['0'] : ['1', ...new Set(topics)]
    const answer = new AnswerReader(await store.ask(LOCATE, keys, [state.life, ...asked, ...which]))
    if (answer.text() !== 'ok') return undefined
    const view = answeredView(answer, state.runId)
    if (isFollowed()) state.saw(view.head)
    else state.moveOn({ head: view.head, origin: '', closed: view.closed })
    return view
  }
}
