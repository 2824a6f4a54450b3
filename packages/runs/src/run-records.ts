import {
  type EventLog,
  type EventStore,
  LogMissingError,
  type LogSummary,
  type Retention,
} from '@tributary/eventlog'
import { formatEventId } from '@tributary/protocol'
import { RECORD, REQUEST } from './run-attributes.ts'
import { UnsureRunError } from './run-error.ts'
import { parseRunRecord, type RunRecord } from './run-record.ts'

/** Begins the name of each run's log. */
const LOG_PREFIX = 'run:'

/** A run as it was found in the store. */
export interface StoredRun {
  readonly runId: string
  readonly record: RunRecord
  readonly closed: boolean
  readonly lastEventId: string | undefined
}

/** What the store has of runs: a log each, with its record. */
export class RunRecords {
  readonly #store: EventStore
  readonly #retention: Retention

  constructor(store: EventStore, maxEvents: number) {
    this.#store = store
    this.#retention = { maxEvents, maxAgeMs: Number.POSITIVE_INFINITY }
  }

  /** Every run in the store. A record that cannot be read is passed over, and `onUnreadable` called. */
  async *all(onUnreadable: (name: string) => void): AsyncGenerator<StoredRun> {
    for (let after = ''; ; ) {
      const page = await this.#store.list({ prefix: LOG_PREFIX, after })
      for (const summary of page) {
        after = summary.name
        const stored = storedRun(summary)
        if (stored === undefined) onUnreadable(summary.name)
        else yield stored
      }
      if (page.length === 0) return
    }
  }

  /** One run as it stands in the store now; `undefined` where it has none of this id. */
  async read(runId: string): Promise<StoredRun | undefined> {
    const summary = await this.#store.find(LOG_PREFIX + runId)
    return summary && storedRun(summary)
  }

  /** Stores a run before anything of it begins. `request` is what its work is built from, as JSON. */
  create(runId: string, record: RunRecord, request: unknown): Promise<EventLog> {
    const attributes = {
      [RECORD]: JSON.stringify(record),
      ...(request === undefined ? {} : { [REQUEST]: JSON.stringify(request) }),
    }
    return this.#store.open(LOG_PREFIX + runId, { runId, retention: () => this.#retention, attributes })
  }

  /**
   * Opens the log of a run that was stored. It is never made here: an empty one would stand in its way when whoever made it
   * puts it back.
   *
   * @throws UnsureRunError where it is not there, as after a failover.
   */
  async openLog(runId: string): Promise<EventLog> {
    const options = { runId, retention: () => this.#retention, mustExist: true }
    try {
      return await this.#store.open(LOG_PREFIX + runId, options)
    } catch (error) {
      throw error instanceof LogMissingError ? new UnsureRunError(runId) : error
    }
  }

  /** As if it had never been. */
  drop(runId: string): Promise<void> {
    return this.#store.drop(LOG_PREFIX + runId)
  }
}

function storedRun({ name, head, closed, attributes }: LogSummary): StoredRun | undefined {
  const record = parseRunRecord(attributes.get(RECORD))
  if (record === undefined) return undefined
  const runId = name.slice(LOG_PREFIX.length)
  const lastEventId = head.n === 0 ? undefined : formatEventId({ runId, ...head })
  return { runId, record, closed, lastEventId }
}
