import { type Clock, systemClock } from '@tributary/protocol'
import {
  DEFAULT_PAGE_LIMIT,
  type EventLog,
  type EventStore,
  type ListOptions,
  type LogSummary,
  type OpenOptions,
  type StoreHealth,
} from '../event-log.ts'
import { LogMissingError } from '../log-error.ts'
import { MemoryEventLog } from './memory-event-log.ts'

/** How often logs are trimmed by age where nothing is appended to them. */
export const DEFAULT_TRIM_INTERVAL_MS = 30_000

export interface MemoryEventStoreOptions {
  /** Default: the machine's. */
  readonly clock?: Clock
  /** Default `DEFAULT_TRIM_INTERVAL_MS`. */
  readonly trimIntervalMs?: number
}

/** Logs in the memory of this process. */
export class MemoryEventStore implements EventStore {
  readonly durable = false
  readonly health: StoreHealth = { status: 'ok' }
  readonly #logs = new Map<string, MemoryEventLog>()
  readonly #clock: Clock
  readonly #stopTrimming: () => void

  constructor({
    clock = systemClock,
    trimIntervalMs = DEFAULT_TRIM_INTERVAL_MS,
  }: MemoryEventStoreOptions = {}) {
    this.#clock = clock
    this.#stopTrimming = clock.every(trimIntervalMs, () => void this.trim())
  }

  async open(name: string, options: OpenOptions): Promise<EventLog> {
    let log = this.#logs.get(name)
    if (log === undefined) {
      if (options.mustExist) throw new LogMissingError(name)
      log = new MemoryEventLog(name, options, () => this.#clock.now())
      this.#logs.set(name, log)
    }
    return log
  }

  async drop(name: string): Promise<void> {
    this.#logs.delete(name)
  }

  async trim(): Promise<void> {
    for (const log of this.#logs.values()) log.trim()
  }

  async find(name: string): Promise<LogSummary | undefined> {
    return summaryOf(this.#logs.get(name)).at(0)
  }

  async list({ prefix = '', after = '', limit = DEFAULT_PAGE_LIMIT }: ListOptions = {}) {
    const names = [...this.#logs.keys()].filter((name) => name.startsWith(prefix) && name > after)
    // The default order is that of code units, as `>` is.
    return names
      .toSorted()
      .slice(0, limit)
      .flatMap((name) => summaryOf(this.#logs.get(name)))
  }

  async close(): Promise<void> {
    this.#stopTrimming()
    this.#logs.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function summaryOf(log: MemoryEventLog | undefined): LogSummary[] {
  if (log === undefined) return []
  const { name, head, closed, attributes } = log
  return [{ name, head, closed, attributes: new Map(attributes) }]
}
