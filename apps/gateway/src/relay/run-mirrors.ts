import type { Clock } from '@tributary/protocol'
import { RunMirror } from './run-mirror.ts'
import type { Worker } from './worker.ts'
import type { WorkerPool } from './worker-pool.ts'

export interface RunMirrorsOptions {
  readonly pool: WorkerPool
  readonly clock: Clock
  readonly random: () => number
  readonly maxEvents: number
  readonly maxEventChars: number
  readonly giveUpMs: number
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
    let mirror = this.#mirrors.get(runId)
    if (mirror === undefined) {
      const { clock, random, maxEvents, maxEventChars, giveUpMs } = this.#options
      mirror = new RunMirror({
        runId,
        worker,
        clock,
        random,
        maxEvents,
        maxEventChars,
        giveUpMs,
        onIdle: () => this.#mirrors.delete(runId),
      })
      this.#mirrors.set(runId, mirror)
    }
    return mirror
  }

  /** The mirror of a run, wherever it is. @throws ProblemError `run_not_found`, `upstream_unavailable`. */
  async find(runId: string): Promise<RunMirror> {
    return this.#mirrors.get(runId) ?? this.of(runId, await this.#options.pool.locate(runId))
  }

  close(): void {
    for (const mirror of this.#mirrors.values()) mirror.close()
  }
}
