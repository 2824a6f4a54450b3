import type { IndexedRun, RunIndex } from './run-index.ts'
import type { RunQueue } from './run-queue.ts'
import type { RunRecords } from './run-records.ts'

/** Unfinished runs that are asked for together. */
const PAGE = 500
/** Pages in one look: where there are more, the next goes on behind them. */
const PAGES_AT_ONCE = 4

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
  #suspects: ReadonlySet<string> = new Set()
  #after = ''
  #looking: Promise<void> | undefined

  constructor(options: MissingRunsOptions) {
    this.#options = options
  }

  /** One look at a time: who asks meanwhile waits for the one that is under way. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const { queue } = this.#options
    const missing = await queue.missing([...this.#suspects])
    this.#suspects = new Set()
    for (const runId of missing) await this.#queueAgain(runId)
    const found: string[] = []
    for (let page = 0; page < PAGES_AT_ONCE; page++) {
      const runs = await this.#options.index.unfinished(this.#after, PAGE)
      const wereMissing = new Set(missing)
      const runIds = runs.map(({ runId }) => runId).filter((runId) => !wereMissing.has(runId))
      found.push(...(await queue.missing(runIds)))
      this.#after = runs.length < PAGE ? '' : (runs.at(-1)?.runId ?? '')
      if (this.#after === '') break
    }
    this.#suspects = new Set(found)
  }

  async #queueAgain(runId: string): Promise<void> {
    const { index, queue, records } = this.#options
    const known = await index.find(runId)
    if (known === undefined || known === 'gone' || known.record.ended !== undefined) return
    const stored = await records.read(runId)
    if (stored?.closed) await index.end(stored)
    else if (stored !== undefined) await queue.add({ runId, userId: stored.record.userId })
    // Its log was lost with the rest: nobody can go on with it, and it need not be looked for again.
    else await index.end(lostRun(known))
  }
}

function lostRun({ runId, record }: IndexedRun): IndexedRun {
  return { runId, record: { ...record, ended: { at: record.startedAt, status: 'failed' } } }
}
