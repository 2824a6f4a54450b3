import type { GapReason } from '@tributary/protocol'
import type { StreamEnd } from './stream-end.ts'

/** Why a reader went without an event that was for it: no room for a `low` one, or a newer one took its place. */
export type DropReason = 'low_priority' | 'conflated'

/**
 * Told of what happens to streams, by whoever counts it. Nothing is told for a single delivery: those are counted by
 * the streams themselves.
 */
export interface StreamMeter {
  /** A stream stands. */
  opened(): void
  ended(end: StreamEnd): void
  /** A reader was told that events are lost to it. */
  gap(reason: GapReason): void
  /** A reader goes without one event. */
  dropped(reason: DropReason): void
  /** A reader that came back has caught up, after so many events. */
  replayed(events: number): void
}

/** Counts nothing. */
export const NO_METER: StreamMeter = {
  opened: () => undefined,
  ended: () => undefined,
  gap: () => undefined,
  dropped: () => undefined,
  replayed: () => undefined,
}
