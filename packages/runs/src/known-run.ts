import type { EventLog } from '@tributary/eventlog'
import type { RunKind, RunStatus, RunView } from '@tributary/protocol'

/** A run as its registry knows it: under way, or long over. */
export interface KnownRun {
  readonly id: string
  readonly kind: RunKind
  /** The user who started it. */
  readonly userId: string
  readonly status: RunStatus
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** Milliseconds since 1970; `undefined` while it goes on. */
  readonly endedAt: number | undefined
  /** Resolves once it has ended, or this process has stopped to work at it. */
  readonly ended: Promise<void>
  view(): RunView
  /** Its events. A run that is over need not be in memory. */
  openLog(): Promise<EventLog>
  /** Notes a reader; the answer takes that back, once. */
  hold(): () => void
}
