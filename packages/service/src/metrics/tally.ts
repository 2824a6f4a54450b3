import type { Sample } from './metrics.ts'

/** Counts by one label. As many labels as there are names for: none may come from a request. */
export class Tally {
  readonly #label: string
  readonly #counts = new Map<string, number>()

  constructor(label: string) {
    this.#label = label
  }

  get total(): number {
    let total = 0
    for (const count of this.#counts.values()) total += count
    return total
  }

  add(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by)
  }

  reset(): void {
    this.#counts.clear()
  }

  /** As they stand, for a metric. */
  samples(): Sample[] {
    return [...this.#counts].map(([name, value]) => ({ labels: { [this.#label]: name }, value }))
  }
}
