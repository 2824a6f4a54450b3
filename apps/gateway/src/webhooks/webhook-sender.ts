import type { Cluster } from '@tributary/cluster'
import type { EventLog, LogEntry } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'
import { WEBHOOK_TOPIC } from './webhook-queue.ts'
import type { WebhookSigner } from './webhook-signer.ts'

/** Where the sent end and the others begin. */
const SENT = 'sent'
const MAX_BATCH = 100
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 300_000
/** How often is looked whether it is this node's turn by now: of a node that is gone another one may be told. */
const LOOK_MS = 10_000

/** Counts what becomes of events. */
export interface WebhookMeter {
  sent(events: number): void
  /** They are not sent any more: too old, or too many were waiting. */
  givenUp(events: number): void
  failed(): void
}

/** Sends a body, and answers the status. Rejects where there is no answer in time. */
export type SendWebhook = (body: string, headers: Readonly<Record<string, string>>) => Promise<number>

export interface WebhookSenderOptions {
  readonly log: EventLog
  readonly cluster: Cluster
  readonly signer: WebhookSigner
  readonly send: SendWebhook
  readonly clock: Clock
  readonly random: () => number
  /** How long an event is tried to be sent, in ms. */
  readonly giveUpMs: number
  readonly meter: WebhookMeter
  readonly onFault: (message: string, fields: Readonly<Record<string, unknown>>) => void
}

/**
 * Sends what is queued, in order, a batch at a time, until it is taken: each event at least once. Of several nodes the
 * one that has been there for longest does.
 */
export class WebhookSender {
  readonly #options: WebhookSenderOptions
  readonly #ends: (() => void)[] = []
  #running: Promise<void> | undefined
  #isWanted = false
  #isClosed = false
  #wake: (() => void) | undefined

  constructor(options: WebhookSenderOptions) {
    this.#options = options
  }

  /** Events that wait. */
  get pending(): number {
    return Math.max(0, this.#options.log.head.n - this.#sent)
  }

  /** Begins, also with what was queued before. */
  async start(): Promise<void> {
    const { log, cluster, clock } = this.#options
    const following = log.follow([WEBHOOK_TOPIC])
    const kick = () => this.#kick()
    this.#ends.push(
      () => following.end(),
      log.tail(kick),
      cluster.onNodeGone(async () => kick()),
      cluster.onRejoined(async () => kick()),
      clock.every(LOOK_MS, () => {
        if (this.pending > 0) kick()
      }),
    )
    await following.ready
    kick()
  }

  /** Ends what is under way; what is not taken is sent after the next start, or by another node. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const end of this.#ends.splice(0)) end()
    this.#wake?.()
    await this.#running
  }

  get #sent(): number {
    return Number(this.#options.log.attributes.get(SENT) ?? 0)
  }

  #kick(): void {
    this.#isWanted = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false
      for (let failures = 0; !this.#isClosed; ) {
        try {
          if (!(await this.#sendNext())) break
          failures = 0
        } catch (error) {
          failures += 1
          this.#options.meter.failed()
          const delayMs = this.#delayMs(failures)
          this.#options.onFault('a webhook was not taken', { err: error, failures, delayMs })
          await this.#sleep(delayMs)
        }
      }
    }
  }

  /** Sends the next batch. Answers whether there was one, and it is for this node to send. */
  async #sendNext(): Promise<boolean> {
    const { log, cluster, clock, giveUpMs, meter, onFault } = this.#options
    const [oldest] = await cluster.nodes('gateway')
    if (oldest !== undefined && oldest.nodeId !== cluster.nodeId) return false
    const from = this.#sent
    const { entries, lostUpTo } = await log.read(from, { limit: MAX_BATCH, topics: [WEBHOOK_TOPIC] })
    const lost = Math.max(0, (lostUpTo?.n ?? from) - from)
    const fresh = entries.filter(({ position }) => clock.now() - position.ms <= giveUpMs)
    const givenUp = lost + entries.length - fresh.length
    if (givenUp > 0) {
      meter.givenUp(givenUp)
      onFault('webhooks were given up: too old, or too many were waiting', { events: givenUp })
    }
    if (fresh.length > 0) {
      await this.#deliver(fresh)
      meter.sent(fresh.length)
    }
    const upTo = entries.at(-1)?.position.n ?? lostUpTo?.n
    if (upTo === undefined || upTo <= from) return false
    await log.append([], { attributes: { [SENT]: String(upTo) } })
    return true
  }

  async #deliver(entries: readonly LogEntry[]): Promise<void> {
    const { signer, send, clock } = this.#options
    const [first, last] = [entries[0], entries.at(-1)]
    if (first === undefined || last === undefined) return
    const body = JSON.stringify({
      type: 'tributary.events',
      timestamp: new Date(last.event.timestamp).toISOString(),
      data: {
        events: entries.map(({ event }) => ({
          type: event.type,
          timestamp: new Date(event.timestamp).toISOString(),
          data: event.data,
        })),
      },
    })
    const id = `msg_${first.event.id}_${last.event.id}`
    const status = await send(body, signer.headers(id, body, clock.now()))
    if (status < 200 || status > 299) throw new Error(`the receiver answered ${status}`)
  }

  #delayMs(failures: number): number {
    const longest = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10), LAST_RETRY_MS)
    return longest * (0.5 + this.#options.random() / 2)
  }

  #sleep(delayMs: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(delayMs, resolve)
    this.#wake = () => {
      cancel()
      resolve()
    }
    return promise
  }
}
