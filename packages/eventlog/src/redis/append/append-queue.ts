import type { Position } from '@tributary/protocol'
import { RedisUnavailableError } from '@tributary/redis'
import type { LogEntry } from '../../event-log.ts'
import { StoreUnavailableError } from '../../log-error.ts'
import type { AppendAnswer, AppendQueueOptions } from './append-queue-options.ts'
import { type Appended, type AppendRequest, type Attempt, outOfOrder } from './append-request.ts'
import { AppendRetries } from './append-retries.ts'
import { PendingAppend } from './pending-append.ts'

/**
 * The appends of one log that are under way, in the order of their calls. They are all sent at once. Where their
 * connection ends, they are sent again one after the other, with what they are known by, so that none is done twice.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions
  readonly #byK = new Map<number, PendingAppend>()
  // Answered, and not handed on yet.
  readonly #awaiting = new Set<PendingAppend>()
  readonly #retries: AppendRetries<AppendAnswer>
  // How many are to be taken over, and whether that is being done.
  #refused = 0
  #isBridging = false
  #lastK = 0
  #handedOnN = 0
  #closed: { readonly error: unknown } | undefined
  // Whether the writer may not know yet that one has failed.
  #isBroken = false

  constructor(options: AppendQueueOptions) {
    this.#options = options
    const { after, elapsed, retryMs } = options
    this.#retries = new AppendRetries({
      send: (pending) => this.#sendInTurn(pending),
      onAnswered: (pending, answer) => this.#answered(pending, answer),
      onFailed: (pending, error) => this.#reject(pending, error),
      isHopeless: (error) => this.#isHopeless(error),
      isClosed: () => this.#closed !== undefined,
      after,
      elapsed,
      retryMs,
    })
  }

  add(request: AppendRequest): Promise<Appended> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed.error)
    if (request.againK === undefined) this.#lastK += 1
    const pending = new PendingAppend(request.againK ?? this.#lastK, request, this.#options.entryOf)
    this.#byK.set(pending.k, pending)
    if (this.#isBroken && request.againK === undefined) this.#reject(pending, outOfOrder())
    else if (request.bridges && this.#options.isBridging()) {
      this.#refuse(pending, new StoreUnavailableError('too much waits already'))
    } else if (this.#retries.isRunning) this.#retries.push(pending)
    else void this.#send(pending)
    return pending.answer
  }

  /** The entry of an append of ours that is handed on now; `undefined` where nobody waits for it. */
  entryAt(k: number, index: number, position: Position): LogEntry | undefined {
    return this.#byK.get(k)?.entryAt(index, position)
  }

  /** The same of what is read of the log. */
  readEntryAt(k: number, position: Position): LogEntry | undefined {
    const pending = this.#byK.get(k)
    if (pending === undefined) return undefined
    // Of one that is not answered yet only the place of a single entry is known.
    const firstN = pending.first?.n ?? (pending.request.drafts.length === 1 ? position.n : Number.NaN)
    const index = position.n - firstN
    return index >= 0 && index < pending.request.drafts.length ? pending.entryAt(index, position) : undefined
  }

  /** Everything up to here has been handed on. */
  handedOn(n: number): void {
    this.#handedOnN = n
    for (const pending of this.#awaiting)
      if (pending.last !== undefined && pending.last.n <= n) this.#finish(pending)
  }

  /** A listener failed with one of these entries. Answers whether that is for somebody who appended it. */
  fail(entries: readonly LogEntry[], error: unknown): boolean {
    return [...this.#byK.values()].some((pending) => pending.fail(entries, error))
  }

  /** What is answered waits no more: nobody knows when it will be handed on. */
  release(): void {
    for (const pending of this.#awaiting) this.#finish(pending)
  }

  /** Whether something is answered, and not handed on yet. */
  get isAwaiting(): boolean {
    return this.#awaiting.size > 0
  }

  /** The log has lost something, and stands here: what is sent again may stand behind that. */
  rewound(n: number): void {
    this.#handedOnN = n
    for (const pending of this.#byK.values()) {
      pending.sinceN = Math.min(pending.sinceN, n)
      pending.forgetEntries()
      if (pending.foundAt !== undefined && pending.foundAt.n > n) pending.foundAt = undefined
    }
  }

  /** What was sent, and not answered yet. */
  get unanswered(): readonly Attempt[] {
    return [...this.#byK.values()].filter(
      ({ first, sinceN }) => first === undefined && Number.isFinite(sinceN),
    )
  }

  /** It stands here now: what was answered was lost, or its answer was. */
  found(k: number, first: Position): void {
    const pending = this.#byK.get(k)
    if (pending === undefined) return
    if (this.#awaiting.has(pending)) pending.moveTo(first)
    else pending.foundAt = first
  }

  /** What was answered has been lost, and will not be taken again. */
  lost(k: number, error: unknown): void {
    const pending = this.#byK.get(k)
    if (pending === undefined) return
    this.#forget(pending)
    pending.reject(this.#options.failure(error))
  }

  close(error: unknown): void {
    this.#closed = { error }
    this.release()
    this.#failAll(error)
  }

  /** Resolves once those that are under way now are done, or have failed. */
  async settled(): Promise<void> {
    await Promise.all([...this.#byK.values()].map(({ answer }) => answer.catch(() => undefined)))
  }

  async #send(pending: PendingAppend): Promise<void> {
    try {
      this.#answered(pending, await this.#sendInTurn(pending))
    } catch (error) {
      const isFinal = !(error instanceof RedisUnavailableError) || this.#closed !== undefined
      if (isFinal || (this.#isHopeless(error) && !this.#retries.isRunning)) this.#reject(pending, error)
      else this.#retries.add(pending, error)
    }
  }

  #sendInTurn(pending: PendingAppend): Promise<AppendAnswer> {
    const { send, isOrdered } = this.#options
    return send(pending, () => !pending.isGivenUp && !(isOrdered && this.#retries.hasBefore(pending.k)))
  }

  /** It was not sent, and nothing will be for some time. */
  #isHopeless({ isUnsent }: RedisUnavailableError): boolean {
    return isUnsent && this.#options.isDown()
  }

  #answered(pending: PendingAppend, answer: AppendAnswer): void {
    if (pending.isGivenUp) return
    const { request } = pending
    if (answer.kind === 'known') {
      this.#forget(pending)
      pending.resolve(answer)
      return
    }
    pending.first = answer.first
    const { last } = pending
    const isWaiting = last !== undefined && !pending.isHandedOn && this.#options.awaitsHandOn(request, last)
    if (isWaiting) this.#awaiting.add(pending)
    this.#options.onAnswered(request, { last, isWaiting, attributesVersion: answer.attributesVersion })
    if (!isWaiting) this.#finish(pending)
    this.#bridgeInOrder()
  }

  #finish(pending: PendingAppend): void {
    const { first } = pending
    if (first === undefined) return
    this.#forget(pending)
    pending.finish(first)
  }

  #forget(pending: PendingAppend): void {
    this.#byK.delete(pending.k)
    this.#awaiting.delete(pending)
    this.#bridgeInOrder()
  }

  #reject(pending: PendingAppend, error: unknown): void {
    if (pending.isGivenUp) return
    const failure = this.#options.failure(error, pending.again ? pending.k : undefined)
    if (error instanceof RedisUnavailableError && pending.request.bridges && this.#closed === undefined) {
      this.#refuse(pending, failure)
      return
    }
    this.#forget(pending)
    pending.reject(failure)
    if (error instanceof RedisUnavailableError && this.#options.isOrdered) this.#giveUpBehind(pending.k)
  }

  /** Else they would be stored before this one, when that is asked for again. They may be on their way. */
  #giveUpBehind(k: number): void {
    this.#isBroken = true
    setImmediate(() => {
      this.#isBroken = false
    })
    for (const pending of this.#byK.values()) {
      if (pending.k < k || pending.first !== undefined) continue
      pending.isGivenUp = true
      this.#retries.drop(pending)
      this.#forget(pending)
      pending.reject(this.#options.failure(outOfOrder(), pending.k))
    }
  }

  #refuse(pending: PendingAppend, error: unknown): void {
    pending.refusal = { error }
    this.#refused += 1
    this.#bridgeInOrder()
  }

  /**
   * Hands over what is not to be sent now, in order: what stands behind one that is still under way waits for what becomes
   * of that. For whoever is sent the later one first is taken to have been sent the earlier.
   */
  #bridgeInOrder(): void {
    if (this.#refused === 0 || this.#isBridging) return
    this.#isBridging = true
    for (const pending of this.#byK.values()) {
      if (pending.refusal !== undefined) this.#bridge(pending, pending.refusal.error)
      else if (pending.request.bridges && pending.first === undefined) break
    }
    this.#isBridging = false
  }

  /** @param refusal what it is refused with where it is not taken over. */
  #bridge(pending: PendingAppend, refusal: unknown): void {
    this.#byK.delete(pending.k)
    this.#refused -= 1
    const entries = pending.entries.filter(({ position }) => position.n <= this.#handedOnN)
    // Only its answer was lost: whoever follows has been told of it, or has read it.
    const [first] = entries
    if (first !== undefined && entries.length === pending.request.drafts.length) {
      this.#options.onSeen(pending, first.position)
      pending.resolve({ kind: 'appended', entries })
      return
    }
    const { foundAt } = pending
    if (foundAt !== undefined && foundAt.n <= this.#handedOnN) {
      this.#options.onSeen(pending, foundAt)
      pending.finish(foundAt)
      return
    }
    try {
      const bridged = this.#options.bridge(pending)
      if (bridged === undefined) pending.reject(refusal)
      else pending.resolve(bridged)
    } catch (error) {
      pending.reject(error)
    }
  }

  #failAll(error: unknown): void {
    for (const pending of this.#byK.values()) this.#reject(pending, error)
    this.#retries.clear()
  }
}
