import type { Topic } from '@tributary/protocol'
import { LogChangedError } from '../log-changed-error.ts'
import type { LogPlace } from '../log-state.ts'
import { AnswerReader } from '../script-answer.ts'
import type { FollowerHost } from './follower-host.ts'
import type { HandedOn } from './handed-on.ts'
import type { TopicSubscriptions } from './topic-subscriptions.ts'

/** Whoever is further behind than so many pages lets its readers read by themselves. */
const MAX_PAGES = 16

/** How often a run that has lost something is looked at again, so that its owner can put that back; and one that is gone. */
const PATIENCE = 4
const PATIENCE_GONE = 20

/** Compares a log with what of it was handed on, and hands on what was not. */
export class LogComparison {
  readonly #host: FollowerHost
  readonly #subscriptions: TopicSubscriptions
  readonly #handedOn: HandedOn
  #cuts = -1
  #patience = PATIENCE
  #patienceGone = PATIENCE_GONE

  constructor(host: FollowerHost, subscriptions: TopicSubscriptions, handedOn: HandedOn) {
    this.#host = host
    this.#subscriptions = subscriptions
    this.#handedOn = handedOn
  }

  /** Whether the last one succeeded, and no other server can have been asked since. */
  get isCurrent(): boolean {
    return this.#cuts === this.#host.cuts()
  }

  /** Answers whether the log is the one that is known here, and has lost nothing. Else it is found anew. */
  async run(): Promise<boolean> {
    const { state } = this.#host
    const cuts = this.#host.cuts()
    const { n, ms, origin } = state.known
    const { compared } = this.#handedOn
    const args = [state.life, n, ms, origin, compared.n, state.attributesVersion, compared.n, compared.ms]
    const answer = new AnswerReader(await this.#host.compare(args))
    const kind = answer.text()
    if (kind === 'ok') {
      this.#patience = PATIENCE
      this.#patienceGone = PATIENCE_GONE
      if (!(await this.#catchUp(answer, cuts))) return false
      this.#cuts = cuts
      return true
    }
    const isThere = kind === 'lost' || (await this.#isMadeAgain())
    const isWhole = isThere && (await this.#isPutBack())
    if (!isWhole) await this.#findAnew()
    return false
  }

  /** Answers whether a log that was gone is there again. @throws LogChangedError where its owner is waited for. */
  async #isMadeAgain(): Promise<boolean> {
    const whereabouts = await this.#host.makeAgain()
    if (whereabouts !== 'missing' || this.#patienceGone === 0) return whereabouts === 'there'
    this.#patienceGone -= 1
    throw new LogChangedError()
  }

  /** Answers whether what was lost has its place again. @throws LogChangedError where its owner is waited for. */
  async #isPutBack(): Promise<boolean> {
    const result = await this.#host.putBack()
    const isOfAnother = result === 'nothing' && this.#host.state.runId !== undefined
    if (isOfAnother && this.#patience > 0) {
      this.#patience -= 1
      throw new LogChangedError()
    }
    return result === 'done'
  }

  /** Answers whether it came as far as the log does: another server may be read than has said how far that is. */
  async #catchUp(answer: AnswerReader, cuts: number): Promise<boolean> {
    const { state } = this.#host
    const head = answer.position()
    const closed = answer.flag()
    const version = answer.number()
    const attributes = new Map<string, string>()
    for (let count = answer.number(); count > 0; count--) attributes.set(answer.text(), answer.text())
    if (version !== state.attributesVersion) state.setAttributes(version, attributes)
    const place = { head, origin: '', closed }
    const topics = this.#changed(answer)
    if (topics !== undefined && !(await this.#findOvertaken(topics, cuts))) return false
    const reads = topics === undefined || topics.length > 0
    if (reads && !(await this.#readUpTo(place, topics, cuts))) return false
    if (head.n > state.head.n) this.#host.handOn([], place)
    this.#handedOn.compareTo(head)
    return true
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
      if (followed?.completeFromN !== undefined && lastN > this.#handedOn.knownN(followed)) topics.push(topic)
    }
    return isAny && this.#subscriptions.whole !== undefined ? undefined : topics
  }

  /**
   * Finds what was lost on the way and was overtaken by what is of other topics: it can no longer be handed on in order,
   * so its readers are told of a gap. Answers as `#catchUp`.
   */
  async #findOvertaken(changed: readonly Topic[], cuts: number): Promise<boolean> {
    const { state } = this.#host
    const upToN = state.head.n
    const byKnownN = Map.groupBy(changed, (topic) => {
      const followed = this.#subscriptions.get(topic)
      return followed === undefined ? upToN : this.#handedOn.knownN(followed)
    })
    for (const [knownN, topics] of byKnownN) {
      if (knownN >= upToN) continue
      const { entries, headN } = await this.#host.readPage(knownN, upToN, topics)
      if (headN < upToN || cuts !== this.#host.cuts()) return false
      if (entries.length === 0) continue
      this.#handedOn.overtaken(topics, upToN)
      this.#host.onOvertaken(topics, knownN)
    }
    return true
  }

  /** Answers as `#catchUp`. */
  async #readUpTo(place: LogPlace, topics: readonly Topic[] | undefined, cuts: number): Promise<boolean> {
    const host = this.#host
    const { state } = host
    const { head } = place
    for (let pages = 0; state.head.n < head.n; pages++) {
      const beforeN = state.head.n
      const { entries, hasMore, lostUpTo, headN } = await host.readPage(beforeN, head.n, topics)
      if (headN < head.n || cuts !== host.cuts()) return false
      // Each reader reads on by itself, and is told what is gone where it concerns it.
      if (pages === MAX_PAGES || (lostUpTo !== undefined && lostUpTo.n > beforeN)) {
        host.leap(place)
        return true
      }
      for (const entry of entries) this.#handedOn.note(entry)
      const last = entries.at(-1)
      if (last !== undefined) {
        const isEnd = last.position.n === head.n
        host.handOn(entries, isEnd ? place : { head: last.position, origin: '', closed: state.closed })
      }
      if (!hasMore) return true
    }
    return true
  }

  async #findAnew(): Promise<void> {
    const { life } = this.#host.state
    const place = await this.#host.reload()
    if (place === undefined) this.#host.onDropped()
    else {
      this.#handedOn.rewound(place.head)
      this.#host.rewind(place, this.#host.state.life !== life)
    }
  }
}
