import type { EventLog, EventStore } from '@tributary/eventlog'
import type { Announcement, ConnectionEntry, ConnectionObserver } from '@tributary/hub'
import { ALL_TOPIC, type PresenceChange } from '@tributary/protocol'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { WebhookEvent } from './webhook-event.ts'

const LOG = 'webhooks'
const SOURCE = 'gateway'
const OPEN = 'open:'
const DAY_MS = 86_400_000

const openCheck = Compile(
  Type.Object({
    connectionId: Type.String(),
    token: Type.String(),
    nodeId: Type.String(),
    userId: Type.Optional(Type.String()),
    groups: Type.Array(Type.String()),
  }),
)

export interface WebhookQueueOptions {
  readonly store: EventStore
  /** What is queued; of the rest nothing is. */
  readonly events: readonly WebhookEvent[]
  /** Events that wait at a time, and for how long at most, in ms; past it the oldest is given up. */
  readonly maxPending: number
  readonly maxAgeMs: number
  /** Whether this process is the only one: after a restart whoever was connected to the one before is not any more. */
  readonly isAlone: boolean
  /** Called where something could not be queued. */
  readonly onLost: (error: unknown) => void
}

/** What is to be told of connections, in order, in a log of its own: so that neither a restart nor a dead node loses it. */
export class WebhookQueue implements ConnectionObserver {
  readonly log: EventLog
  readonly #options: WebhookQueueOptions
  readonly #events: ReadonlySet<WebhookEvent>

  private constructor(options: WebhookQueueOptions, log: EventLog) {
    this.#options = options
    this.#events = new Set(options.events)
    this.log = log
  }

  static async open(options: WebhookQueueOptions): Promise<WebhookQueue> {
    const retention = () => ({ maxEvents: options.maxPending, maxAgeMs: options.maxAgeMs })
    const queue = new WebhookQueue(options, await options.store.open(LOG, { retention }))
    await queue.#closeOpened()
    return queue
  }

  get wantsPresence(): boolean {
    return this.#events.has('join') || this.#events.has('leave')
  }

  async connected(entry: ConnectionEntry): Promise<void> {
    await this.#add('connect', entry, connectionData(entry), this.#noted(entry, true))
  }

  async disconnected(entry: ConnectionEntry, reason: string): Promise<void> {
    const data = { ...connectionData(entry), reason }
    await this.#add('disconnect', entry, data, this.#noted(entry, false))
  }

  async announced({ kind, group, userId, stayId, since, at, shown }: Announcement): Promise<void> {
    if (!this.#events.has(kind)) return
    const data: PresenceChange = {
      group,
      userId,
      stayId,
      since,
      at,
      ...(shown === undefined ? {} : { metadata: JSON.parse(shown) }),
    }
    const event = { type: kind, data: { id: `${kind}_${stayId}_${group}`, ...data }, source: SOURCE }
    // Of those who may tell of it the second finds that it is there.
    const once = { key: `${kind}:${stayId}:${group}`, fingerprint: stayId, windowMs: DAY_MS }
    await this.log.appendOnce([{ event, audience: { all: true } }], once)
  }

  async #add(
    type: 'connect' | 'disconnect',
    { token, connectionId }: ConnectionEntry,
    data: Readonly<Record<string, unknown>>,
    attributes: Readonly<Record<string, string | null>>,
  ): Promise<void> {
    const event = { type, data: { id: `${type}_${token}_${connectionId}`, ...data }, source: SOURCE }
    const batch = this.#events.has(type) ? [{ event, audience: { all: true } as const }] : []
    const isNoted = Object.keys(attributes).length > 0
    if (batch.length === 0 && !isNoted) return
    try {
      await this.log.append(batch, isNoted ? { attributes } : {})
    } catch (error) {
      this.#options.onLost(error)
      throw error
    }
  }

  /** So that a connection whose process is gone is known to have been open. In a cluster the registry knows that. */
  #noted(entry: ConnectionEntry, isOpen: boolean): Record<string, string | null> {
    if (!this.#options.isAlone || !this.#events.has('disconnect')) return {}
    return { [`${OPEN}${entry.token}`]: isOpen ? JSON.stringify(entry) : null }
  }

  async #closeOpened(): Promise<void> {
    if (!this.#options.isAlone) return
    for (const [key, text] of [...this.log.attributes]) {
      if (!key.startsWith(OPEN)) continue
      const entry: unknown = JSON.parse(text)
      if (openCheck.Check(entry)) await this.disconnected(entry, 'node_gone')
      else await this.log.append([], { attributes: { [key]: null } })
    }
  }
}

/** What its log is followed by. */
export const WEBHOOK_TOPIC = ALL_TOPIC

function connectionData({ connectionId, nodeId, userId, groups }: ConnectionEntry) {
  return { connectionId, nodeId, ...(userId === undefined ? {} : { userId }), groups }
}
