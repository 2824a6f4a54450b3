import type { Asker } from '@tributary/service'
import type { RemoteRuns } from './remote-runs.ts'
import { RunMirror, type RunMirrorOptions } from './run-mirror.ts'
import type { Worker } from './worker.ts'

export interface RunMirrorsOptions
  extends Omit<RunMirrorOptions, 'runId' | 'worker' | 'onComplete' | 'onIdle'> {
  readonly remoteRuns: RemoteRuns
}

/** The workers' runs that are read at this gateway, each over one upstream. */
export class RunMirrors {
  readonly #options: RunMirrorsOptions
  readonly #mirrors = new Map<string, RunMirror>()

  constructor(options: RunMirrorsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#mirrors.size
  }

  /** The mirror of a run whose worker is known. Its upstream may not stand yet. */
  of(runId: string, worker: Worker): RunMirror {
    const existing = this.#mirrors.get(runId)
    if (existing !== undefined) return existing
    const { remoteRuns, ...options } = this.#options
    const mirror = new RunMirror({
      ...options,
      runId,
      worker,
      onComplete: ({ status, totalTasks, successCount, errorCount }, endedAt) =>
        remoteRuns.noteChange(runId, { status, totalTasks, successCount, errorCount, endedAt }),
      onIdle: () => this.#mirrors.delete(runId),
    })
    this.#mirrors.set(runId, mirror)
    return mirror
  }

  /** The mirror of a run, wherever it is, for who may read it. @throws as `RemoteRuns.locate`. */
  async find(runId: string, asker: Asker): Promise<RunMirror> {
    return this.of(runId, await this.#options.remoteRuns.locate(runId, asker))
  }

  close(): void {
    for (const mirror of this.#mirrors.values()) mirror.close()
  }
}
