import { setTimeout as delay } from 'node:timers/promises'
import type { PublishRecord } from './ledger.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What published events are called. `message` is what a body without an `event` becomes. */
export const PUBLISHED_TYPES = ['message', 'note', 'alert'] as const

/** How long one attempt may take, in ms. */
const ATTEMPT_MS = 5_000
/** Statuses that say "again, later". */
const LATER = new Set([408, 409, 425, 429])
/** How often what was acknowledged is sent once more, as by a client that did not trust the answer. */
const DOUBTS = 0.05

export interface PublisherOptions {
  readonly name: string
  /** The gateway, by whatever way. */
  readonly url: string
  readonly token: string
  /** Whom it publishes for: `all`, `user:…`, `group:…`. */
  readonly topics: readonly [string, ...string[]]
  readonly random: SeededRandom
  /** The longest pause between two publishes, in ms. */
  readonly pauseMs: number
  /** Called where an answer is none that the contract knows. */
  onFault(fault: string): void
}

interface Answer {
  readonly id: string
  readonly delivered: number
  readonly replayed: boolean
}

/** Publishes one event after the other, each under a key of its own, and again until it is acknowledged. */
export class Publisher {
  readonly #options: PublisherOptions

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** Publishes until `stop`; then the last one until it is acknowledged, or `giveUp`. Answers what it published. */
  async publish(prefix: string, stop: AbortSignal, giveUp: AbortSignal): Promise<PublishRecord[]> {
    const { name, topics, random, pauseMs, onFault } = this.#options
    const published: PublishRecord[] = []
    while (!stop.aborted && !giveUp.aborted) {
      const record: PublishRecord = {
        key: `${prefix}-${name}-${published.length + 1}`,
        publisher: name,
        topic: random.pick(topics),
        ids: [],
      }
      const body = JSON.stringify({ event: random.pick(PUBLISHED_TYPES), data: { key: record.key } })
      const send = () => this.#untilAcknowledged(record, body, giveUp)
      published.push(record)
      const answer = await send()
      if (answer !== undefined && random.chance(DOUBTS)) {
        const again = await send()
        // A log that has lost it answers so rightly: then it has another id, which the check judges.
        if (again !== undefined && !again.replayed && again.id === answer.id)
          onFault(`${record.key}, sent again, was answered as if new`)
      }
      await delay(random.int(0, pauseMs))
    }
    return published
  }

  /** Publishes one event for all, until it is acknowledged or `giveUp`. */
  async publishLast(key: string, giveUp: AbortSignal): Promise<PublishRecord> {
    const record: PublishRecord = { key, publisher: key, topic: 'all', ids: [] }
    const body = JSON.stringify({ event: PUBLISHED_TYPES[0], data: { key } })
    await this.#untilAcknowledged(record, body, giveUp)
    return record
  }

  async #untilAcknowledged(
    record: PublishRecord,
    body: string,
    giveUp: AbortSignal,
  ): Promise<Answer | undefined> {
    while (!giveUp.aborted) {
      const answer = await this.#attempt(record, body, giveUp).catch(() => undefined)
      if (answer === 'refused') return undefined
      if (answer !== undefined) {
        record.ids.push(answer.id)
        const { id, replayed, delivered } = answer
        if (replayed && delivered !== 0) this.#options.onFault(`${record.key} at ${id} was delivered again`)
        return answer
      }
      await delay(this.#options.random.int(50, 200))
    }
    return undefined
  }

  /** @throws whatever happens to connections. */
  async #attempt(
    record: PublishRecord,
    body: string,
    giveUp: AbortSignal,
  ): Promise<Answer | 'refused' | undefined> {
    const { url, token, onFault } = this.#options
    const { key, topic } = record
    const answer = await fetch(url + pathOf(topic), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
        'idempotency-key': key,
      },
      body,
      signal: AbortSignal.any([giveUp, AbortSignal.timeout(ATTEMPT_MS)]),
    })
    const text = await answer.text()
    if (answer.status >= 500 || LATER.has(answer.status)) return undefined
    const said: { id?: unknown; delivered?: unknown; degraded?: unknown } = JSON.parse(text)
    if (answer.status === 202 && said.degraded === true) return undefined
    if (answer.status === 200 && typeof said.id === 'string' && typeof said.delivered === 'number') {
      const replayed = answer.headers.get('idempotent-replayed') === 'true'
      return { id: said.id, delivered: said.delivered, replayed }
    }
    onFault(`${key} for ${topic} was answered ${answer.status} ${text}`)
    return 'refused'
  }
}

function pathOf(topic: string): string {
  const [kind, name = ''] = topic.split(':')
  if (kind === 'user') return `/api/sse/managed/send/user/${name}`
  if (kind === 'group') return `/api/sse/managed/broadcast/group/${name}`
  return '/api/sse/managed/broadcast'
}
