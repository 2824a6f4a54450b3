import type { IndexedRun, RunIndex } from './run-index.ts'
import type { RunQueue } from './run-queue.ts'
import type { RunRecords } from './run-records.ts'

/** Unfinished runs that are looked at in one go. */
const LOOK = 500

export interface MissingRunsOptions {
  readonly index: RunIndex
  readonly queue: RunQueue
  readonly records: RunRecords
}

/**
 * Finds runs that are not finished and that nobody will ever take: whose node died between accepting and queueing them,
 * or whose place in the queue Redis lost in a failover. They are queued again; any node does so for all.
 */
export class MissingRuns {
  readonly #options: MissingRunsOptions
  /** Those that were missing when last looked at: between two steps of its way a run may be for a moment. */
  #suspects = new Set<string>()
  #after = ''

  constructor(options: MissingRunsOptions) {
    this.#options = options
  }

  async look(): Promise<void> {
    const { index, queue } = this.#options
    const runs = await index.unfinished(this.#after, LOOK)
    const missing = new Set(await queue.missing(runs.map(({ runId }) => runId)))
    const suspects = new Set([...this.#suspects, ...missing])
    for (const run of runs) {
      const { runId } = run
      if (!missing.has(runId)) suspects.delete(runId)
      else if (this.#suspects.has(runId)) {
        suspects.delete(runId)
        await this.#queueAgain(run)
      }
    }
    this.#suspects = suspects
    this.#after = runs.length < LOOK ? '' : (runs.at(-1)?.runId ?? '')
  }

  async #queueAgain({ runId, record }: IndexedRun): Promise<void> {
    const { index, queue, records } = this.#options
    const stored = await records.read(runId)
    if (stored?.closed) await index.end(stored)
    else if (stored !== undefined) await queue.add({ runId, userId: record.userId })
    // Its log was lost with the rest: nobody can go on with it, and it need not be looked for again.
    else await index.end({ runId, record: { ...record, ended: { at: record.startedAt, status: 'failed' } } })
  }
}
