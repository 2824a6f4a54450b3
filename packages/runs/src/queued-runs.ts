import type { EventLog } from '@tributary/eventlog'
import type { ConsistencyFault } from '@tributary/protocol'
import { RECORD } from './run-attributes.ts'
import { parseRunRecord } from './run-record.ts'
import type { RunRecords } from './run-records.ts'

export interface QueuedRunsOptions {
  readonly records: Pick<RunRecords, 'read'>
  /** Called once a node has a run that was accepted here, or it is over. */
  readonly onTaken: (userId: string, runId: string) => void
}

/** The runs that this node accepted and that wait for any: until one has them, they are counted as this node's. */
export class QueuedRuns {
  readonly #options: QueuedRunsOptions
  readonly #queued = new Set<QueuedRun>()

  constructor(options: QueuedRunsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#queued.size
  }

  /** Watches a run that was just accepted. */
  add(userId: string, runId: string, log: EventLog): void {
    const following = log.follow()
    const look = () => {
      const record = parseRunRecord(log.attributes.get(RECORD))
      if (log.closed || record?.epoch !== 0) this.#taken(queued)
    }
    const unlisten = log.onAttributes(look)
    const end = () => {
      unlisten()
      following.end()
    }
    const queued: QueuedRun = { userId, runId, end }
    this.#queued.add(queued)
    // It may have been taken before anybody listened.
    following.ready?.then(look, () => undefined)
    if (following.ready === undefined) look()
  }

  /** Those that wait for nobody any more, as the store says, and of which this node has not heard that. */
  async faults(): Promise<readonly ConsistencyFault[]> {
    const faults = await Promise.all([...this.#queued].map((queued) => this.#faultOf(queued)))
    return faults.flat()
  }

  close(): void {
    for (const { end } of this.#queued) end()
    this.#queued.clear()
  }

  async #faultOf(queued: QueuedRun): Promise<ConsistencyFault[]> {
    const { userId, runId } = queued
    const stored = await this.#options.records.read(runId)
    if (stored !== undefined && !stored.closed && stored.record.epoch === 0) return []
    const detail = `a place of ${JSON.stringify(userId)} is held, and a log followed, for a run that waits no more`
    return [{ kind: 'leaked_hold', id: `${userId} ${runId}`, detail, correct: () => this.#taken(queued) }]
  }

  #taken(queued: QueuedRun): void {
    if (!this.#queued.delete(queued)) return
    queued.end()
    this.#options.onTaken(queued.userId, queued.runId)
  }
}

interface QueuedRun {
  readonly userId: string
  readonly runId: string
  /** Has its log followed no more. */
  readonly end: () => void
}
