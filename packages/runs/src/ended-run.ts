import type { EventLog } from '@tributary/eventlog'
import type { RunStatus } from '@tributary/protocol'
import type { KnownRun } from './known-run.ts'
import { RecordedRun } from './recorded-run.ts'
import type { IndexedRun } from './run-index.ts'

/** A run that has ended, as its record tells it. */
export class EndedRun extends RecordedRun implements KnownRun {
  readonly ended = Promise.resolve()
  readonly openLog: () => Promise<EventLog>

  constructor(indexed: IndexedRun, openLog: () => Promise<EventLog>) {
    super(indexed)
    this.openLog = openLog
  }

  get status(): RunStatus {
    return this.record.ended?.status ?? 'failed'
  }

  hold(): () => void {
    return () => undefined
  }
}
