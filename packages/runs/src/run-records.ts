import type { EventLog, EventStore, LogSummary, Retention } from '@tributary/eventlog'
import { formatEventId } from '@tributary/protocol'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { EndedRun } from './known-run.ts'
import { RECORD, REQUEST } from './run.ts'
import { parseRunRecord, RunRecord } from './run-record.ts'

/** Begins the name of each run's log. */
const LOG_PREFIX = 'run:'
/** The log whose attributes name the runs that were forgotten. It holds no events. */
const FORGOTTEN_LOG = 'runs'
/** Forgotten runs that are remembered to have been; past it the oldest are as if they had never been. */
const MAX_FORGOTTEN = 10_000

/** A run as it was found in the store. */
export interface StoredRun {
  readonly runId: string
  readonly record: RunRecord
  readonly closed: boolean
  readonly lastEventId: string | undefined
}

/** What is remembered of a run that is kept no longer: that there was one, and by which key it was asked for. */
const ForgottenRun = Type.Object({ startedAt: Type.Number(), once: Type.Optional(RunRecord.properties.once) })
const forgottenRun = Compile(ForgottenRun)

/** What the store has of runs: a log each, with its record, and the ids of those that it has no more. */
export class RunRecords {
  readonly #store: EventStore
  readonly #retention: Retention
  readonly #forgotten: EventLog

  private constructor(store: EventStore, retention: Retention, forgotten: EventLog) {
    this.#store = store
    this.#retention = retention
    this.#forgotten = forgotten
  }

  static async open(store: EventStore, retention: Retention): Promise<RunRecords> {
    const forgotten = await store.open(FORGOTTEN_LOG, { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) })
    return new RunRecords(store, retention, forgotten)
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

  /** Stores a run before anything of it begins. `request` is what its work is built from, as JSON. */
  async create(runId: string, record: RunRecord, request: unknown): Promise<EventLog> {
    const attributes = {
      [RECORD]: JSON.stringify(record),
      ...(request === undefined ? {} : { [REQUEST]: JSON.stringify(request) }),
    }
    return this.#store.open(LOG_PREFIX + runId, { runId, retention: () => this.#retention, attributes })
  }

  openLog(runId: string): Promise<EventLog> {
    return this.#store.open(LOG_PREFIX + runId, { runId, retention: () => this.#retention })
  }

  /** Takes over what an earlier process began: from now on its appends are refused. */
  async takeOver(runId: string, record: RunRecord): Promise<{ log: EventLog; record: RunRecord }> {
    const log = await this.openLog(runId)
    const next = { ...record, epoch: record.epoch + 1 }
    await log.append([], { epoch: next.epoch, attributes: { [RECORD]: JSON.stringify(next) } })
    return { log, record: next }
  }

  /** As if it had never been: for a run that was not accepted after all. */
  drop(runId: string): Promise<void> {
    return this.#store.drop(LOG_PREFIX + runId)
  }

  /** Lets go of runs that are kept no longer, and remembers that they were. */
  async forget(runs: readonly EndedRun[]): Promise<void> {
    if (runs.length === 0) return
    const attributes: Record<string, string | null> = {}
    const excess = this.#forgotten.attributes.size + runs.length - MAX_FORGOTTEN
    const oldest = excess > 0 ? this.forgotten().toSorted((a, b) => a.startedAt - b.startedAt) : []
    for (const { runId } of oldest.slice(0, excess)) attributes[runId] = null
    for (const { id, startedAt, once } of runs.slice(-MAX_FORGOTTEN)) {
      attributes[id] = JSON.stringify({ startedAt, once })
    }
    await this.#forgotten.append([], { attributes })
    for (const { id } of runs) await this.drop(id)
  }

  /** The runs that were, as far as they are remembered. */
  forgotten(): ({ runId: string } & Static<typeof ForgottenRun>)[] {
    return [...this.#forgotten.attributes].flatMap(([runId, text]) => {
      const value: unknown = JSON.parse(text)
      return forgottenRun.Check(value) ? [{ runId, ...value }] : []
    })
  }

  isForgotten(runId: string): boolean {
    return this.#forgotten.attributes.has(runId)
  }
}

function storedRun({ name, head, closed, attributes }: LogSummary): StoredRun | undefined {
  const record = parseRunRecord(attributes.get(RECORD))
  if (record === undefined) return undefined
  const runId = name.slice(LOG_PREFIX.length)
  const lastEventId = head.n === 0 ? undefined : formatEventId({ runId, ...head })
  return { runId, record, closed, lastEventId }
}
