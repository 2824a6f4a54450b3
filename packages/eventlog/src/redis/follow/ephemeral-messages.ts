import { RedisUnavailableError } from '@tributary/redis'
import { type EphemeralEvent, EphemeralListeners, type Telling, type Told } from '../../ephemeral-event.ts'
import { type LogKeys, MAX_TOLD_TOPICS } from '../redis-keys.ts'
import { storedDraft, toldDraft } from '../stored-entry.ts'
import { formatEphemeral, parseEphemeral } from './log-message.ts'

export interface EphemeralMessagesInit {
  /** Names this process among all that tell. */
  readonly node: string
  readonly keys: LogKeys
  /** Whether listeners here are told, too, while Redis is away. */
  readonly tellsAlone: boolean
  /** Publishes it on each of these channels, once. @throws RedisUnavailableError */
  readonly publish: (channels: readonly string[], message: string) => Promise<void>
  readonly unreachable: () => Error | undefined
  readonly failure: (error: unknown) => unknown
  readonly onError: (error: unknown) => void
}

/** Events that are remembered as heard: what comes on several channels comes within a moment. */
const MAX_REMEMBERED = 1_024

/** The events of a log that are told, and not stored. */
export class EphemeralMessages {
  readonly #init: EphemeralMessagesInit
  readonly #listeners = new EphemeralListeners()
  // Who follows several topics of an event is told it on several channels.
  readonly #heard = new Set<string>()
  #lastK = 0
  #closed: Error | undefined

  constructor(init: EphemeralMessagesInit) {
    this.#init = init
  }

  listen(listener: (event: EphemeralEvent) => void): () => void {
    return this.#listeners.add(listener)
  }

  /**
   * Here at once, elsewhere by one message on each channel, all sent together. What is under way when the connection ends
   * is told here alone, whatever is to become of sends then: listeners have it.
   */
  async tell(telling: Telling): Promise<Told> {
    if (this.#closed !== undefined) throw this.#closed
    const { node, tellsAlone, publish, unreachable, failure } = this.#init
    const { timestamp } = telling
    const { head, ...draft } = storedDraft(telling)
    const away = unreachable()
    if (away !== undefined && !tellsAlone) throw away
    this.#lastK += 1
    const event = { ...draft, timestamp }
    this.#listeners.tell(event)
    if (away !== undefined) return { event, isEverywhere: false }
    const message = formatEphemeral({ node, k: this.#lastK, timestamp, head, json: draft.json })
    try {
      await publish(this.#channelsOf(event), message)
      return { event, isEverywhere: true }
    } catch (error) {
      if (error instanceof RedisUnavailableError) return { event, isEverywhere: false }
      throw failure(error)
    }
  }

  /** Takes what was told of an event. Its own comes back to a node, and was told already. */
  take(text: string): void {
    try {
      this.#take(text)
    } catch (error) {
      this.#init.onError(error)
    }
  }

  close(error: Error): void {
    this.#closed = error
  }

  #take(text: string): void {
    const message = parseEphemeral(text)
    if (message === undefined || message.node === this.#init.node) return
    const { node, k, timestamp, head, json } = message
    const id = `${node} ${k}`
    if (this.#heard.has(id)) return
    this.#heard.add(id)
    for (const oldest of this.#heard) {
      if (this.#heard.size <= MAX_REMEMBERED) break
      this.#heard.delete(oldest)
    }
    this.#listeners.tell({ ...toldDraft(head, json), timestamp })
  }

  #channelsOf({ topics }: EphemeralEvent): string[] {
    if (topics.length === 0) return []
    const { keys } = this.#init
    const channels = new Set(topics.map((topic) => keys.channelOf(topic)))
    // Whoever follows anything hears of these.
    return channels.size > MAX_TOLD_TOPICS ? [keys.hints] : [...channels, keys.whole]
  }
}
