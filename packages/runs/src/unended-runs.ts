import type { RegistryParts } from './registry-parts.ts'

/** Logs that are looked at together. */
const BATCH = 50

/**
 * Finds runs that have ended as the index says, and whose logs have not: what a failover of one of several servers lost,
 * and the node that had ended it did not live to put back. They go on, so that their readers hear of an end.
 */
export class UnendedRuns {
  readonly #parts: RegistryParts

  constructor(parts: RegistryParts) {
    this.#parts = parts
  }

  async look(): Promise<void> {
    const runIds = [...((await this.#parts.index.justEnded?.()) ?? [])]
    while (runIds.length > 0) await Promise.all(runIds.splice(0, BATCH).map((runId) => this.#lookAt(runId)))
  }

  async #lookAt(runId: string): Promise<void> {
    const { index, queue, records, report } = this.#parts
    const stored = await records.read(runId)
    if (stored === undefined || stored.closed) return
    if ((await index.restore?.(stored, true)) !== 'known') return
    report(new Error('Redis had lost the end of the run; it goes on'), runId)
    await queue.add({ runId, userId: stored.record.userId })
  }
}
