import type { EventLog } from '@tributary/eventlog'
import type { RunKind, RunStatus, RunView } from '@tributary/protocol'
import type { IndexedRun } from './run-index.ts'
import { type RunRecord, viewOfRecord } from './run-record.ts'

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

/** A run that has ended, as its record tells it. */
export class EndedRun implements KnownRun {
  readonly id: string
  readonly ended = Promise.resolve()
  readonly openLog: () => Promise<EventLog>
  readonly #record: RunRecord
  readonly #lastEventId: string | undefined

  constructor({ runId, record, lastEventId }: IndexedRun, openLog: () => Promise<EventLog>) {
    this.id = runId
    this.#record = record
    this.#lastEventId = lastEventId
    this.openLog = openLog
  }

  get kind(): RunKind {
    return this.#record.kind
  }

  get userId(): string {
    return this.#record.userId
  }

  get startedAt(): number {
    return this.#record.startedAt
  }

  get endedAt(): number | undefined {
    return this.#record.ended?.at
  }

  get status(): RunStatus {
    return this.#record.ended?.status ?? 'failed'
  }

  view(): RunView {
    return viewOfRecord(this.id, this.#record, this.status, this.#lastEventId)
  }

  hold(): () => void {
    return () => undefined
  }
}
