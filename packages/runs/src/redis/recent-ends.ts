import type { IndexedRun } from '../run-index.ts'

/** How many rounds one is remembered. */
const ROUNDS = 6
/** How many are; of more the oldest are forgotten. */
const MAX_RUNS = 10_000

/** Runs that this node has told the index the end of lately: a failover may lose that. */
export class RecentEnds {
  readonly #runs = new Map<string, { readonly run: IndexedRun; rounds: number }>()

  add(run: IndexedRun): void {
    this.#runs.set(run.runId, { run, rounds: 0 })
    const [oldest] = this.#runs.keys()
    if (this.#runs.size > MAX_RUNS && oldest !== undefined) this.#runs.delete(oldest)
  }

  /** Another round is over. */
  age(): void {
    for (const [runId, ended] of this.#runs) {
      if (ended.rounds >= ROUNDS) this.#runs.delete(runId)
      else ended.rounds += 1
    }
  }

  all(): readonly IndexedRun[] {
    return [...this.#runs.values()].map(({ run }) => run)
  }
}
