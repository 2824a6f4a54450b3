import { formatOrigin, type Position } from '@tributary/protocol'
import { RedisUnavailableError } from '@tributary/redis'
import { LogClosedError, OnceConflictError, StaleEpochError, StoreUnavailableError } from '../../log-error.ts'
import { type FoundPlaces, findPlaces } from '../find-places.ts'
import { LogChangedError } from '../log-changed-error.ts'
import type { LogParts } from '../log-parts.ts'
import { APPEND } from '../log-scripts.ts'
import { AnswerReader, type ScriptAnswer } from '../script-answer.ts'
import type { AppendAnswer } from './append-queue-options.ts'
import { type AppendArguments, type Attempt, appendArguments, outOfOrder } from './append-request.ts'

export interface AppendSenderInit extends LogParts {
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

  /**
   * @param isNext asked at the last moment: whether nothing that must stand before it is still to be stored.
   * @throws RedisUnavailableError where it may be tried again.
   */
  async send(attempt: Attempt, isNext: () => boolean): Promise<AppendAnswer> {
    for (;;) {
      if (this.#isUnsure || this.#waiting > 0) await this.#turn()
      if (!isNext()) throw outOfOrder()
      try {
        return await this.sendNow(attempt)
      } catch (error) {
        if (!(error instanceof LogChangedError)) throw error
      }
    }
  }

  /**
   * The same for who stores what comes before all others.
   *
   * @param behind what must stand before it.
   * @throws LogChangedError
   */
  async sendNow(attempt: Attempt, behind?: Attempt): Promise<AppendAnswer> {
    const { state } = this.#init
    const { rewinds, known } = state
    attempt.sinceN = Math.min(attempt.sinceN, known.n)
    const answer = new AnswerReader(await this.#run(attempt, { behind: this.#named(behind) }))
    if (state.rewinds !== rewinds) {
      // It may be of a server that has been left since.
      attempt.again = true
      throw new LogChangedError()
    }
    return this.#answered(attempt, answer)
  }

  /** Gives it the place again that it had, where the log ends before that. @param behind @throws as of `sendNow` */
  async putBack(attempt: Attempt, { n, ms }: Position, behind?: Attempt): Promise<void> {
    const { state } = this.#init
    const { rewinds } = state
    const isEmpty = attempt.request.drafts.length === 0
    const known = { n: isEmpty ? n : n - 1, origin: '' }
    const place = { known, clock: String(ms), behind: this.#named(behind) }
    const answer = new AnswerReader(await this.#run({ ...attempt, again: false }, place))
    if (state.rewinds !== rewinds) throw new LogChangedError()
    this.#answered(attempt, answer)
  }

  /** Looks which of these stand in the log. @throws as `sendNow` */
  async find(sinceN: number, attempts: readonly Attempt[]): Promise<FoundPlaces> {
    const names = attempts.map(({ k, request }) => ({
      origin: this.#originOf(k),
      key: request.once?.key ?? '',
    }))
    const found = await findPlaces(this.#init, sinceN, names)
    if (found !== undefined) return found
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
      if (!(error instanceof StoreUnavailableError)) throw error
      throw new RedisUnavailableError(error.reason, { isUnsent: true, cause: error })
    } finally {
      this.#waiting -= 1
    }
  }

  #run(
    { request, k, again, sinceN: behindN }: Attempt,
    place: Partial<Pick<AppendArguments, 'known' | 'clock' | 'behind'>>,
  ): Promise<ScriptAnswer> {
    const { keys, options, state, store } = this.#init
    const { retention, maxBytes } = options
    const { life, known } = state
    const { publish } = store
    const origin = this.#originOf(k)
    const sinceN = again ? behindN : undefined
    const clock = store.clock()
    const given = { life, clock, origin, sinceN, known, maxBytes, publish, keys, retention, ...place }
    return store.run(APPEND, keys, appendArguments(request, given))
  }

  #named(attempt: Attempt | undefined): AppendArguments['behind'] {
    if (attempt === undefined) return undefined
    const { k, sinceN, request } = attempt
    return { origin: this.#originOf(k), sinceN, key: request.once?.key ?? '' }
  }

  #originOf(count: number): string {
    return formatOrigin({ node: this.#init.store.node, count })
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
