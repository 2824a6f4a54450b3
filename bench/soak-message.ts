import type { SoakFaults } from './soak-check.ts'

/** What the readers' process is to do, as the parent sends it. */
export type SoakCommand =
  /** Opens all readers; answered by `SoakReaders` once all of them have a stream. */
  | ({ readonly kind: 'open' } & SoakPlan)
  /** Begins the churn. Not answered. */
  | { readonly kind: 'churn' }
  /** What was published since it was last said. Not answered. */
  | { readonly kind: 'published'; readonly entries: readonly PublishedEntry[] }
  /** Answered by `SoakReaders`. */
  | { readonly kind: 'figures' }
  /** Ends the churn, waits until all have everything, or for so long, and answers `SoakVerdict`. */
  | { readonly kind: 'finish'; readonly limitMs: number }

/** A group, the event's number in it, and its id. */
export type PublishedEntry = readonly [group: number, number: number, id: string]

export interface SoakPlan {
  readonly port: number
  readonly streams: number
  readonly groups: number
  /** Readers that leave in a second, and come back. */
  readonly leavesPerS: number
  /** Readers that read nothing for a while, in a second. */
  readonly pausesPerS: number
  /** The longest that a reader is away or pauses, in ms. */
  readonly maxAwayMs: number
}

/** How the readers are. */
export interface SoakReaders {
  readonly reading: number
  readonly received: number
  /** Streams that were opened, the first of each reader too. */
  readonly opened: number
  readonly paused: number
  /** How often readers left, by how. */
  readonly left: Readonly<Record<string, number>>
  /** How often they were told why their stream ends, by the reason. */
  readonly ended: Readonly<Record<string, number>>
  /** How often they were refused, by the answer. */
  readonly refused: Readonly<Record<string, number>>
}

export interface SoakVerdict {
  readonly readers: SoakReaders
  readonly faults: SoakFaults
  readonly examples: readonly string[]
  /** How long it took until all had everything, in ms. */
  readonly caughtUpMs: number
}
