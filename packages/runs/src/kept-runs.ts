import type { EndedRun } from './known-run.ts'
import type { RunRecords } from './run-records.ts'

export interface KeptRunsOptions {
  readonly records: RunRecords
  /** How long after its end a run is kept, in ms. */
  readonly maxAgeMs: number
  readonly maxCount: number
  /** Told of runs that could not be taken from the store. Must not throw. */
  readonly onError: (error: unknown, runId: string) => void
}

/** The runs that have ended, until they are too old or too many. */
export class KeptRuns {
  readonly #options: KeptRunsOptions
  // In the order of their end.
  readonly #runs = new Map<string, EndedRun>()
  #forgetting = Promise.resolve()

  constructor(options: KeptRunsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#runs.size
  }

  get(runId: string): EndedRun | undefined {
    return this.#runs.get(runId)
  }

  values(): IteratorObject<EndedRun> {
    return this.#runs.values()
  }

  /** Adds a run that ended after all that are here. */
  add(run: EndedRun): void {
    this.#runs.set(run.id, run)
  }

  /** Lets go of what is too old or too many, the oldest first. Resolves once the store has, of earlier sweeps too. */
  sweep(nowMs: number): Promise<void> {
    const { records, maxAgeMs, maxCount, onError } = this.#options
    const gone: EndedRun[] = []
    for (const run of this.#runs.values()) {
      const isTooOld = (run.endedAt ?? 0) < nowMs - maxAgeMs
      if (!isTooOld && this.#runs.size <= maxCount) break
      this.#runs.delete(run.id)
      gone.push(run)
    }
    if (gone.length > 0) this.#forgetting = this.#forgetting.then(() => records.forget(gone, onError))
    return this.#forgetting
  }
}
