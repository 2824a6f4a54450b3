import { type EventLog, type LogEntry, OnceConflictError } from '@tributary/eventlog'
import { type Audience, type Clock, ProblemError, type SendAnswer, type Where } from '@tributary/protocol'
import type { DeliveryTimer } from './delivery-timer.ts'
import type { FanOut } from './fan-out.ts'
import type { SendOptions } from './hub-options.ts'
import { type CheckedEvent, newEvent } from './new-event.ts'
import { onceKey, type SendOnce } from './send-once.ts'

/** What a send came to. */
export interface SendReceipt extends SendAnswer {
  /** There where the key had been sent with before: nothing was sent now, and `id` is what it got then. */
  readonly replayed?: true
}

export interface PublisherOptions {
  readonly log: EventLog
  readonly fanOut: FanOut
  readonly timer: DeliveryTimer
  readonly clock: Clock
  readonly source: string
  readonly maxEventBytes: number
  readonly idempotencyWindowMs: number
}

/** Appends events to the hub's log, or has it tell what is in no log. */
export class Publisher {
  readonly #options: PublisherOptions
  #published = 0

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** Events that were sent. */
  get published(): number {
    return this.#published
  }

  resetCount(): void {
    this.#published = 0
  }

  async publish(audience: Audience, type: string, data: unknown, options: SendOptions): Promise<SendReceipt> {
    const beganMs = performance.now()
    const receipt = await this.#publish(audience, type, data, options)
    if (receipt.replayed !== true) this.#published += 1
    if (receipt.delivered > 0) this.#options.timer.given(beganMs)
    return receipt
  }

  async #publish(
    audience: Audience,
    type: string,
    data: unknown,
    options: SendOptions,
  ): Promise<SendReceipt> {
    const { source: ownSource, maxEventBytes } = this.#options
    const {
      priority = 'normal',
      metadata,
      conflate,
      ephemeral = false,
      source = ownSource,
      where,
      once,
    } = options
    const event = newEvent(
      {
        type,
        data,
        source,
        priority,
        ...(metadata === undefined ? {} : { metadata }),
        ...(conflate === undefined ? {} : { conflate }),
      },
      maxEventBytes,
    )
    const narrowed = narrow(audience, where)
    if (once !== undefined) return this.#publishOnce(event, narrowed, ephemeral, once)
    return ephemeral ? this.#tell(event, narrowed) : this.#append(event, narrowed)
  }

  async #append(event: CheckedEvent, audience: Audience): Promise<SendReceipt> {
    const { log, fanOut } = this.#options
    const [entry] = await log.append([{ event, audience }], { bridges: true })
    if (entry === undefined) throw new Error('the log answered an append with nothing')
    return receiptOf(entry, fanOut)
  }

  async #tell(event: CheckedEvent, audience: Audience): Promise<SendReceipt> {
    const { log, fanOut, clock } = this.#options
    const told = await log.tell({ event, audience, timestamp: clock.now() })
    const receipt = { success: true, id: null, delivered: fanOut.takenOf(told.event) } as const
    return told.isEverywhere ? receipt : { ...receipt, degraded: true }
  }

  async #publishOnce(
    event: CheckedEvent,
    audience: Audience,
    ephemeral: boolean,
    once: SendOnce,
  ): Promise<SendReceipt> {
    const { log, fanOut, idempotencyWindowMs } = this.#options
    const key = onceKey(once, { event, audience, ephemeral }, idempotencyWindowMs)
    const answer = await log
      .appendOnce(ephemeral ? [] : [{ event, audience }], key, { bridges: true })
      .catch(orConflict)
    if (answer.replayed) {
      const id = answer.first === undefined ? null : log.idOf(answer.first)
      const receipt = { success: true, id, delivered: 0, replayed: true } as const
      return answer.waits === true ? { ...receipt, degraded: true } : receipt
    }
    const [entry] = answer.entries
    return entry === undefined ? this.#tell(event, audience) : receiptOf(entry, fanOut)
  }
}

/** What waits to be stored has no id yet. */
function receiptOf(entry: LogEntry, fanOut: FanOut): SendReceipt {
  const delivered = fanOut.takenOf(entry)
  if (entry.provisional) return { success: true, degraded: true, id: null, delivered }
  return { success: true, id: entry.event.id, delivered }
}

function orConflict(error: unknown): never {
  if (!(error instanceof OnceConflictError)) throw error
  throw new ProblemError(
    'idempotency_conflict',
    'The idempotency key was used for something else; take another key for another event.',
    { cause: error },
  )
}

/** The audience as it is stored: narrowed further, beside what narrows it already, and a copy of its own. */
function narrow(audience: Audience, where: Where = {}): Audience {
  const own: Audience = JSON.parse(JSON.stringify(audience))
  const already = own.where ?? {}
  const keys = Object.keys(where)
  if (keys.length === 0) return own
  const contradicts = keys.some((key) => Object.hasOwn(already, key) && already[key] !== where[key])
  return contradicts ? {} : { ...own, where: { ...already, ...where } }
}
