import type { RunKind, RunStatus, RunView } from '@tributary/protocol'
import type { IndexedRun } from './run-index.ts'
import { type RunRecord, viewOfRecord } from './run-record.ts'

/** A run of which this process knows what its record says. */
export abstract class RecordedRun {
  readonly id: string
  protected record: RunRecord
  protected lastEventId: string | undefined

  constructor({ runId, record, lastEventId }: Pick<IndexedRun, 'runId' | 'record' | 'lastEventId'>) {
    this.id = runId
    this.record = record
    this.lastEventId = lastEventId
  }

  abstract get status(): RunStatus

  get kind(): RunKind {
    return this.record.kind
  }

  get userId(): string {
    return this.record.userId
  }

  get startedAt(): number {
    return this.record.startedAt
  }

  get endedAt(): number | undefined {
    return this.record.ended?.at
  }

  view(): RunView {
    return viewOfRecord(this.id, this.record, this.status, this.lastEventId)
  }
}
