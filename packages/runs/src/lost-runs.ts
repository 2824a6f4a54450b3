import type { IndexedRun, RunIndex } from './run-index.ts'
import type { RunRecords } from './run-records.ts'

export interface LostRunsOptions {
  readonly index: RunIndex
  readonly records: RunRecords
}

/** Runs that the index has lost while their logs were kept, as where Redis had to let go of keys: it is given them again. */
export class LostRuns {
  readonly #index: RunIndex
  readonly #records: RunRecords
  /** Where one was lost, others were. */
  #suspected = false

  constructor({ index, records }: LostRunsOptions) {
    this.#index = index
    this.#records = records
  }

  /** One that the index does not know; `undefined` where it has no log either. */
  async find(runId: string): Promise<IndexedRun | 'gone' | undefined> {
    if (this.#index.restore === undefined) return undefined
    const stored = await this.#records.read(runId)
    if (stored === undefined || !(await this.#index.restore(stored))) return undefined
    this.#suspected = true
    return this.#index.find(runId)
  }

  /** Looks whether these are known; where any was lost since the last look, all are restored. Answers whether that was so. */
  async look(own: Iterable<string>): Promise<boolean> {
    if (this.#index.restore === undefined) return false
    for (const runId of own) {
      if ((await this.#index.find(runId)) === undefined) await this.find(runId)
    }
    if (!this.#suspected) return false
    // A record that cannot be read says so itself, once it is asked for.
    for await (const stored of this.#records.all(() => undefined)) await this.#index.restore(stored)
    this.#suspected = false
    return true
  }
}
