import type { EventLog } from '@tributary/eventlog'
import { RECORD } from './run-attributes.ts'
import { parseRunRecord } from './run-record.ts'

export interface QueuedRunsOptions {
  /** Called once a node has a run that was accepted here, or it is over. */
  readonly onTaken: (userId: string, runId: string) => void
}

/** The runs that this node accepted and that wait for any: until one has them, they are counted as this node's. */
export class QueuedRuns {
  readonly #options: QueuedRunsOptions
  readonly #ends = new Set<() => void>()

  constructor(options: QueuedRunsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#ends.size
  }

  /** Watches a run that was just accepted. */
  add(userId: string, runId: string, log: EventLog): void {
    const following = log.follow()
    const end = () => {
      unlisten()
      following.end()
      this.#ends.delete(end)
    }
    const look = () => {
      const record = parseRunRecord(log.attributes.get(RECORD))
      if (!log.closed && record?.epoch === 0) return
      end()
      this.#options.onTaken(userId, runId)
    }
    const unlisten = log.onAttributes(look)
    this.#ends.add(end)
    // It may have been taken before anybody listened.
    following.ready?.then(look, () => undefined)
    if (following.ready === undefined) look()
  }

  close(): void {
    for (const end of this.#ends) end()
  }
}
