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
const MAX_FORGOTTEN = 100_000

/** A run as it was found in the store. */
export interface StoredRun {
  readonly runId: string
  readonly record: RunRecord
  readonly closed: boolean
  readonly lastEventId: string | undefined
}

/** What is remembered of a run that is kept no longer: that there was one, and by which key it was asked for. */
const ForgottenRun = Type.Object({ startedAt: Type.Number(), once: Type.Optional(RunRecord.properties.once) })
type ForgottenRun = Static<typeof ForgottenRun>
const forgottenRun = Compile(ForgottenRun)

/** What the store has of runs: a log each, with its record, and the ids of those that it has no more. */
export class RunRecords {
  readonly #store: EventStore
  readonly #retention: Retention
  readonly #log: EventLog
  // The oldest first.
  readonly #forgotten: Map<string, ForgottenRun>

  private constructor(store: EventStore, retention: Retention, log: EventLog) {
    this.#store = store
    this.#retention = retention
    this.#log = log
    this.#forgotten = new Map(forgottenRuns(log.attributes))
  }

  static async open(store: EventStore, maxEvents: number): Promise<RunRecords> {
    const log = await store.open(FORGOTTEN_LOG, { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) })
    return new RunRecords(store, { maxEvents, maxAgeMs: Number.POSITIVE_INFINITY }, log)
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
  create(runId: string, record: RunRecord, request: unknown): Promise<EventLog> {
    const attributes = {
      [RECORD]: JSON.stringify(record),
      ...(request === undefined ? {} : { [REQUEST]: JSON.stringify(request) }),
    }
    return this.#store.open(LOG_PREFIX + runId, { runId, retention: () => this.#retention, attributes })
  }

  openLog(runId: string): Promise<EventLog> {
    return this.#store.open(LOG_PREFIX + runId, { runId, retention: () => this.#retention })
  }

  /** As if it had never been: for a run that was not accepted after all. */
  drop(runId: string): Promise<void> {
    return this.#store.drop(LOG_PREFIX + runId)
  }

  /** Lets go of runs that are kept no longer, and remembers that they were. */
  async forget(runs: readonly EndedRun[], onError: (error: unknown, runId: string) => void): Promise<void> {
    const attributes: Record<string, string | null> = {}
    for (const { id, startedAt, once } of runs) {
      const forgotten = once === undefined ? { startedAt } : { startedAt, once }
      this.#forgotten.set(id, forgotten)
      attributes[id] = JSON.stringify(forgotten)
    }
    for (const id of this.#forgotten.keys()) {
      if (this.#forgotten.size <= MAX_FORGOTTEN) break
      this.#forgotten.delete(id)
      attributes[id] = null
    }
    // Where that cannot be stored the runs go all the same: on a full disk it is what makes room.
    await this.#log.append([], { attributes }).catch((error: unknown) => onError(error, FORGOTTEN_LOG))
    for (const { id } of runs) await this.drop(id).catch((error: unknown) => onError(error, id))
  }

  /** The runs that were, as far as they are remembered. */
  forgotten(): (ForgottenRun & { runId: string })[] {
    return [...this.#forgotten].map(([runId, run]) => ({ runId, ...run }))
  }

  isForgotten(runId: string): boolean {
    return this.#forgotten.has(runId)
  }
}

function storedRun({ name, head, closed, attributes }: LogSummary): StoredRun | undefined {
  const record = parseRunRecord(attributes.get(RECORD))
  if (record === undefined) return undefined
  const runId = name.slice(LOG_PREFIX.length)
  const lastEventId = head.n === 0 ? undefined : formatEventId({ runId, ...head })
  return { runId, record, closed, lastEventId }
}

function forgottenRuns(attributes: ReadonlyMap<string, string>): [string, ForgottenRun][] {
  const runs = [...attributes].flatMap(([runId, text]): [string, ForgottenRun][] => {
    const value: unknown = JSON.parse(text)
    return forgottenRun.Check(value) ? [[runId, value]] : []
  })
  return runs.sort(([, a], [, b]) => a.startedAt - b.startedAt)
}
