import type { Position } from '@tributary/protocol'
import { RedisUnavailableError } from '@tributary/redis'
import type { LogEntry } from '../../event-log.ts'
import { LogClosedError, OnceConflictError, StaleEpochError, StoreUnavailableError } from '../../log-error.ts'
import { LogChangedError } from '../log-changed-error.ts'
import type { LogParts } from '../log-parts.ts'
import { type Answered, AnsweredAppends } from './answered-appends.ts'
import type { Attempt } from './append-request.ts'
import { AppendSender } from './append-sender.ts'
import type { SendInOrder } from './ordered-batch.ts'
import { OutageBridge } from './outage-bridge.ts'

export interface LogRepairInit extends LogParts {
  readonly originOf: (k: number) => string
  /** Hands on here what has no place yet. */
  readonly handOn: (entry: LogEntry) => void
  /** Compares the log, and stores first what was lost of it. @throws LogClosedError where it is gone for good. */
  readonly findAnew: () => Promise<void>
  /** What is sent, and not answered yet. */
  readonly unanswered: () => readonly Attempt[]
  /** Told of what stands there now: it was lost, or its answer was. */
  readonly onFound: (k: number, first: Position) => void
  /** Told of what was answered, has been lost, and will not be taken again. */
  readonly onLost: (k: number, error: unknown) => void
}

/** Has a log whole: stores again what of this node's it has lost, then what waits, and then whatever is sent. */
export class LogRepair {
  /** What waits for Redis, handed on here already. */
  readonly bridge: OutageBridge
  readonly sender: AppendSender
  readonly #init: LogRepairInit
  readonly #answered = new AnsweredAppends()

  constructor(init: LogRepairInit) {
    this.#init = init
    this.sender = new AppendSender({
      ...init,
      onAppended: (attempt, first) => this.seen(attempt, first),
    })
    this.bridge = new OutageBridge({
      ...init,
      answered: this.#answered,
      send: (...sent) => this.sender.sendNow(...sent),
      isAway,
    })
  }

  /** Whether there is nothing that a failover could lose, or an outage keeps. */
  get isIdle(): boolean {
    return this.bridge.size === 0 && this.#answered.isEmpty
  }

  /** Whether all that was ever appended to the log is kept here. */
  get hasAll(): boolean {
    return this.#answered.hasFirst
  }

  /** Stores first what the log has lost, then what waits for Redis. @throws what is to be tried again. */
  async store(): Promise<void> {
    const { onFound } = this.#init
    await this.#findLost()
    await this.#restore(async (attempt, behind) => {
      const answer = await this.sender.sendNow(attempt, behind)
      const first = answer.kind === 'appended' ? answer.first : { n: answer.n, ms: answer.ms }
      onFound(attempt.k, first)
      return first
    })
    await this.bridge.flush()
    // What another has stored for its key need not be handed on by us.
    this.bridge.forgetStored()
  }

  /**
   * The log was found to have lost something: gives what of this node's is lost the places again that it had, where nobody
   * has appended since, as to a run. Then nobody need be told.
   *
   * @throws what is to be tried again.
   */
  async putBack(): Promise<'done' | 'taken' | 'nothing'> {
    const isOfAnother = this.#answered.isEmpty
    await this.findLost()
    if (isOfAnother) return 'nothing'
    if (!this.#answered.hasLost) return 'taken'
    try {
      await this.#restore(async (item, behind) => {
        await this.sender.putBack(item, item.first, behind)
        return item.first
      })
      return 'done'
    } catch (error) {
      if (!(error instanceof LogChangedError)) throw error
      return 'taken'
    }
  }

  /** The log was found to have lost something: looks what of this node's. */
  findLost(): Promise<void> {
    this.#answered.doubt()
    return this.#findLost()
  }

  /** It is to be looked whether what was answered is there, before anything else is sent. */
  doubt(): void {
    if (this.#answered.isEmpty) return
    this.#answered.doubtServer()
    this.sender.doubt()
  }

  /** The log has lost something, or is another, and stands here: nothing is sent before what was lost is stored again. */
  rewound(n: number, isAnother: boolean): void {
    if (isAnother) this.#answered.clear()
    this.#answered.rewound(n)
    this.bridge.rewound(n)
    this.sender.doubt()
  }

  /** The log has been compared, is whole, and all of it has been handed on. */
  compared(): void {
    this.sender.trust()
    this.#answered.seen(this.#init.store.elapsed())
    this.bridge.forgetStored()
  }

  #restore(send: SendInOrder<Answered, Position>): Promise<void> {
    const onRefused = (k: number, error: unknown) => this.#onRefused(k, error)
    return this.#answered.restore({ send, isAway, onRefused })
  }

  #findLost(): Promise<void> {
    const unanswered = [...this.#init.unanswered(), ...this.bridge.unanswered]
    return this.#answered.findLost(
      (sinceN, attempts) => this.sender.find(sinceN, attempts),
      unanswered,
      (attempt, first) => {
        if (this.bridge.found(attempt.k)) this.seen(attempt, first)
        this.#init.onFound(attempt.k, first)
      },
    )
  }

  /** It is answered, or seen, to stand there, and may be lost from now on. */
  seen(attempt: Attempt, first: Position): void {
    const { state, store, originOf } = this.#init
    const { length } = attempt.request.drafts
    this.#answered.add(attempt, first, store.elapsed())
    if (length > 0) state.saw({ ms: first.ms, n: first.n + length - 1 }, originOf(attempt.k), first)
  }

  #onRefused(k: number, error: unknown): void {
    const { onLost, store } = this.#init
    onLost(k, error)
    if (!isRefusal(error)) store.onError(error)
  }
}

/** Whether it is to be tried again. */
function isAway(error: unknown): boolean {
  return (
    error instanceof RedisUnavailableError ||
    error instanceof StoreUnavailableError ||
    error instanceof LogChangedError
  )
}

/** Whether the log may not take it, as another has ended it or taken it over since. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof LogClosedError || error instanceof StaleEpochError || error instanceof OnceConflictError
  )
}
