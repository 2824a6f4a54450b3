import type { StayRecords } from './stay-records.ts'

/** By how much more a watch has to last before that is stored, so that not each request is. */
const STORE_BEYOND_MS = 60_000
/** Groups that are watched at a time; past it the one that has been watched for longest is forgotten. */
const MAX_WATCHES = 100_000

/** Of which groups joins and leaves are announced, and until when. */
export class GroupWatches {
  readonly #now: () => number
  readonly #records: StayRecords
  // The one first that was stored first.
  readonly #stored = new Map<string, number>()
  readonly #until = new Map<string, number>()

  constructor(now: () => number, records: StayRecords) {
    this.#now = now
    this.#records = records
    for (const [group, untilMs] of records.watches) {
      this.#until.set(group, untilMs)
      this.#stored.set(group, untilMs)
    }
  }

  has(group: string): boolean {
    return (this.#until.get(group) ?? 0) > this.#now()
  }

  /** Answers those that were not watched before. */
  add(groups: readonly string[], forMs: number): string[] {
    const untilMs = this.#now() + forMs
    const added = groups.filter((group) => !this.has(group))
    const changed = new Map<string, number | null>()
    for (const group of groups) {
      this.#until.set(group, Math.max(untilMs, this.#until.get(group) ?? 0))
      if (untilMs - (this.#stored.get(group) ?? 0) > STORE_BEYOND_MS) changed.set(group, untilMs)
    }
    for (const [group, until] of changed) this.#remember(group, until ?? 0)
    if (added.length > 0) this.#forget(changed)
    this.#records.storeWatches(changed)
    return added
  }

  #remember(group: string, untilMs: number): void {
    this.#stored.delete(group)
    this.#stored.set(group, untilMs)
  }

  /** Of the oldest those that are over, or too many. */
  #forget(changed: Map<string, number | null>): void {
    for (const group of this.#stored.keys()) {
      if (this.has(group) && this.#stored.size <= MAX_WATCHES) break
      this.#stored.delete(group)
      this.#until.delete(group)
      changed.set(group, null)
    }
  }
}
