import type { EventLog, EventStore } from '@tributary/eventlog'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { IndexedRun } from './run-index.ts'
import { RunRecord } from './run-record.ts'

/** The log whose attributes name the runs that were forgotten. It holds no events. */
const FORGOTTEN_LOG = 'runs'
/** Forgotten runs that are remembered to have been; past it the oldest are as if they had never been. */
const MAX_FORGOTTEN = 100_000

/** What is remembered of a run that is kept no longer: that there was one, and by which key it was asked for. */
const ForgottenRun = Type.Object({ startedAt: Type.Number(), once: Type.Optional(RunRecord.properties.once) })
type ForgottenRun = Static<typeof ForgottenRun>
const forgottenRun = Compile(ForgottenRun)

/** The runs that are kept no longer, as far as they are remembered. */
export class ForgottenRuns {
  readonly #log: EventLog
  // The oldest first.
  readonly #runs: Map<string, ForgottenRun>

  private constructor(log: EventLog) {
    this.#log = log
    this.#runs = new Map(forgottenRuns(log.attributes))
  }

  static async open(store: EventStore): Promise<ForgottenRuns> {
    return new ForgottenRuns(
      await store.open(FORGOTTEN_LOG, { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) }),
    )
  }

  has(runId: string): boolean {
    return this.#runs.has(runId)
  }

  *all(): IterableIterator<ForgottenRun & { runId: string }> {
    for (const [runId, run] of this.#runs) yield { runId, ...run }
  }

  /** @throws StoreUnavailableError where it cannot be stored; in this process they are remembered all the same. */
  async add(runs: readonly IndexedRun[]): Promise<void> {
    const attributes: Record<string, string | null> = {}
    for (const { runId, record } of runs) {
      const { startedAt, once } = record
      const forgotten = once === undefined ? { startedAt } : { startedAt, once }
      this.#runs.set(runId, forgotten)
      attributes[runId] = JSON.stringify(forgotten)
    }
    for (const runId of this.#runs.keys()) {
      if (this.#runs.size <= MAX_FORGOTTEN) break
      this.#runs.delete(runId)
      attributes[runId] = null
    }
    await this.#log.append([], { attributes })
  }
}

function forgottenRuns(attributes: ReadonlyMap<string, string>): [string, ForgottenRun][] {
  const runs = [...attributes].flatMap(([runId, text]): [string, ForgottenRun][] => {
    const value: unknown = JSON.parse(text)
    return forgottenRun.Check(value) ? [[runId, value]] : []
  })
  return runs.sort(([, a], [, b]) => a.startedAt - b.startedAt)
}
