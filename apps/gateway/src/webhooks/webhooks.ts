import type { Cluster } from '@tributary/cluster'
import type { EventStore } from '@tributary/eventlog'
import type { OutboundClient } from '@tributary/outbound'
import type { Clock } from '@tributary/protocol'
import { fromVariable, type Metrics, Tally } from '@tributary/service'
import type { GatewayConfig } from '../config.ts'
import { WebhookQueue } from './webhook-queue.ts'
import { WebhookSender } from './webhook-sender.ts'
import { WebhookSigner } from './webhook-signer.ts'

/** What of an answer is read. */
const MAX_ANSWER_BYTES = 4_096

export interface WebhooksOptions {
  readonly store: EventStore
  readonly cluster: Cluster
  readonly client: OutboundClient
  readonly clock: Clock
  readonly random: () => number
  readonly metrics: Metrics
  /** Whether other nodes have the same queue. */
  readonly clustered: boolean
  readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void
}

/** The queue of webhooks and who sends it, where the configuration names somebody to send to. */
export interface Webhooks {
  readonly queue: WebhookQueue
  readonly sender: WebhookSender
}

/** @throws ConfigError where the secret is none. */
export async function openWebhooks(
  config: GatewayConfig,
  options: WebhooksOptions,
): Promise<Webhooks | undefined> {
  const { WEBHOOK_URL: url, WEBHOOK_SECRET: secret = '', WEBHOOK_TIMEOUT_MS: timeoutMs } = config
  const { store, cluster, client, clock, random, metrics, clustered, warn } = options
  const outcomes = new Tally('outcome')
  let pending = () => 0
  addMetrics(metrics, outcomes, () => pending())
  if (url === undefined) return undefined
  const signer = await fromVariable('WEBHOOK_SECRET', () => new WebhookSigner(secret))
  const queue = await WebhookQueue.open({
    store,
    events: config.WEBHOOK_EVENTS,
    maxPending: config.WEBHOOK_MAX_PENDING,
    maxAgeMs: config.WEBHOOK_GIVE_UP_MS,
    isAlone: !clustered,
    onLost: (error) => {
      outcomes.add('given_up')
      warn('a webhook could not be queued', { err: error })
    },
  })
  const sender = new WebhookSender({
    log: queue.log,
    cluster,
    signer,
    clock,
    random,
    giveUpMs: config.WEBHOOK_GIVE_UP_MS,
    send: async (body, headers) => {
      const limitOf = () => ({ maxBytes: MAX_ANSWER_BYTES, overflow: 'truncate' as const })
      return (await client.exchange({ url, method: 'POST', headers, body, timeoutMs, limitOf })).status
    },
    meter: {
      sent: (events) => outcomes.add('sent', events),
      givenUp: (events) => outcomes.add('given_up', events),
      failed: () => outcomes.add('failed_attempt'),
    },
    onFault: warn,
  })
  pending = () => sender.pending
  return { queue, sender }
}

function addMetrics(metrics: Metrics, outcomes: Tally, pending: () => number): void {
  metrics.counter(
    {
      name: 'tributary_webhook_events_total',
      help: 'Events of webhooks that were sent or given up, and attempts that failed',
      labels: ['outcome'],
    },
    () => outcomes.samples(),
  )
  metrics.gauge({ name: 'tributary_webhook_pending', help: 'Events that wait to be sent' }, pending)
}
