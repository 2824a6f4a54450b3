import { formatOrigin, type Position } from '@tributary/protocol'
import { RedisUnavailableError } from '@tributary/redis'
import type { OpenOptions } from '../../event-log.ts'
import { LogClosedError, OnceConflictError, StaleEpochError, StoreUnavailableError } from '../../log-error.ts'
import { LogChangedError } from '../log-changed-error.ts'
import { APPEND, FIND } from '../log-scripts.ts'
import type { LogState } from '../log-state.ts'
import type { LogStore } from '../log-store.ts'
import type { LogKeys } from '../redis-keys.ts'
import { AnswerReader, type ScriptAnswer } from '../script-answer.ts'
import type { FoundAppends } from './answered-appends.ts'
import type { AppendAnswer } from './append-queue.ts'
import { type AppendArguments, type Attempt, appendArguments } from './append-request.ts'

export interface AppendSenderInit {
  readonly name: string
  readonly keys: LogKeys
  readonly options: OpenOptions
  readonly state: LogState
  readonly store: LogStore
  /** Compares the log, and stores first what was lost of it. @throws LogClosedError where it is gone for good. */
  readonly findAnew: () => Promise<void>
  /** It stands there now; of one without entries the head does. */
  readonly onAppended: (attempt: Attempt, first: Position) => void
}

/** Sends appends to a log, and none to one that has lost what was in it before that is stored again. */
export class AppendSender {
  readonly #init: AppendSenderInit
  // Whether the log has to be compared first.
  #isUnsure = false
  // Those that wait for that, one behind the other.
  #waiting = 0
  #last = Promise.resolve()

  constructor(init: AppendSenderInit) {
    this.#init = init
  }

  /** Whatever is sent waits from here on. */
  doubt(): void {
    this.#isUnsure = true
  }

  /** The log has been compared, and is whole. */
  trust(): void {
    this.#isUnsure = false
  }

  /** @throws RedisUnavailableError where it may be tried again. */
  async send(attempt: Attempt): Promise<AppendAnswer> {
    for (;;) {
      if (this.#isUnsure || this.#waiting > 0) await this.#turn()
      try {
        return await this.sendNow(attempt)
      } catch (error) {
        if (!(error instanceof LogChangedError)) throw error
      }
    }
  }

  /** The same for who stores what comes before all others. @throws LogChangedError */
  async sendNow(attempt: Attempt): Promise<AppendAnswer> {
    const { state } = this.#init
    const { rewinds, known } = state
    attempt.sinceN = Math.min(attempt.sinceN, known.n)
    const answer = new AnswerReader(await this.#run(attempt))
    if (state.rewinds !== rewinds) {
      // It may be of a server that has been left since.
      attempt.again = true
      throw new LogChangedError()
    }
    return this.#answered(attempt, answer)
  }

  /** Gives it the place again that it had, where the log ends before that. @throws as `sendNow` */
  async putBack(attempt: Attempt, { n, ms }: Position): Promise<void> {
    const { state } = this.#init
    const { rewinds } = state
    const isEmpty = attempt.request.drafts.length === 0
    const place = { known: { n: isEmpty ? n : n - 1, origin: '' }, clock: String(ms) }
    const answer = new AnswerReader(await this.#run({ ...attempt, again: false }, place))
    if (state.rewinds !== rewinds) throw new LogChangedError()
    this.#answered(attempt, answer)
  }

  /** Looks which of these stand in the log. @throws as `sendNow` */
  async find(sinceN: number, attempts: readonly Attempt[]): Promise<FoundAppends> {
    const { store, keys, state } = this.#init
    const asked = attempts.flatMap(({ k, request }) => [
      formatOrigin({ node: store.node, count: k }),
      request.once?.key ?? '',
    ])
    const answer = new AnswerReader(await store.ask(FIND, keys, [state.life, sinceN, ...asked]))
    if (answer.text() === 'ok') {
      return { headN: answer.number(), oldestN: answer.number(), places: attempts.map(() => answer.place()) }
    }
    this.doubt()
    throw new LogChangedError()
  }

  async #turn(): Promise<void> {
    this.#waiting += 1
    const turn = this.#last.then(() => (this.#isUnsure ? this.#init.findAnew() : undefined))
    this.#last = turn.catch(() => undefined)
    try {
      await turn
    } catch (error) {
      if (error instanceof LogChangedError)
        throw new RedisUnavailableError('a log is being found anew', { isUnsent: true, cause: error })
      if (!(error instanceof StoreUnavailableError)) throw error
      throw new RedisUnavailableError(error.reason, { isUnsent: true, cause: error })
    } finally {
      this.#waiting -= 1
    }
  }

  #run(
    { request, k, again, sinceN: behindN }: Attempt,
    place?: Pick<AppendArguments, 'known' | 'clock'>,
  ): Promise<ScriptAnswer> {
    const { keys, options, state, store } = this.#init
    const { retention, maxBytes } = options
    const { life, known } = state
    const { publish } = store
    const origin = formatOrigin({ node: store.node, count: k })
    const sinceN = again ? behindN : undefined
    const clock = store.clock()
    const given = { life, clock, origin, sinceN, known, maxBytes, publish, keys, retention, ...place }
    return store.run(APPEND, keys, appendArguments(request, given))
  }

  #answered(attempt: Attempt, answer: AnswerReader): AppendAnswer {
    const { name } = this.#init
    const { options } = attempt.request
    const kind = answer.text()
    if (kind === 'ok') {
      const first = answer.position()
      this.#init.onAppended(attempt, first)
      return { kind: 'appended', first, attributesVersion: answer.number() }
    }
    if (kind === 'known') {
      const { n, ms } = answer.position()
      return { kind, n, ms }
    }
    if (kind === 'closed') throw new LogClosedError(name)
    if (kind === 'stale') throw new StaleEpochError(name, options?.epoch ?? 0, answer.number())
    if (kind === 'conflict') throw new OnceConflictError(name)
    this.doubt()
    throw new LogChangedError()
  }
}
