import { StoreUnavailableError } from '@tributary/eventlog'
import type { NodeRuns } from './node-runs.ts'
import type { IndexedRun, RestoredRun, RunIndex } from './run-index.ts'
import type { RunRecords, StoredRun } from './run-records.ts'

export interface LostRunsOptions {
  readonly index: RunIndex
  readonly records: RunRecords
  /** Those that this node works at. */
  readonly node: Pick<NodeRuns, 'get'>
}

/** Runs that the index has lost while their logs were kept, as where Redis had to let go of keys: it is given them again. */
export class LostRuns {
  readonly #index: RunIndex
  readonly #records: RunRecords
  readonly #node: LostRunsOptions['node']
  /** Where one was lost, others were. */
  #suspected = false

  constructor({ index, records, node }: LostRunsOptions) {
    this.#index = index
    this.#records = records
    this.#node = node
  }

  /**
   * One that the index does not know; `undefined` where it has no log either.
   *
   * @throws StoreUnavailableError where it is about to be accepted, or that it was is lost and is about to be said again.
   */
  async find(runId: string): Promise<IndexedRun | 'gone' | undefined> {
    if (this.#index.restore === undefined) return undefined
    const stored = await this.#records.read(runId)
    if (stored === undefined) return undefined
    const restored = await this.#restore(stored)
    if (restored === 'claimed') throw new StoreUnavailableError('the run is about to be accepted')
    if (restored !== 'known') return undefined
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
    for await (const stored of this.#records.all(() => undefined)) await this.#restore(stored)
    this.#suspected = false
    return true
  }

  /** What this node works at was accepted, whatever else is said of it. */
  async #restore(stored: StoredRun): Promise<RestoredRun | undefined> {
    const isOwn = !stored.closed && this.#node.get(stored.runId) !== undefined
    return this.#index.restore?.(stored, isOwn)
  }
}
