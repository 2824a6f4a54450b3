import type { Asker } from '@tributary/service'
import type { RemoteRuns } from './remote-runs.ts'
import { RunMirror, type RunMirrorOptions } from './run-mirror.ts'
import type { Worker } from './worker.ts'

/**
 * How long after a run's end who comes is given what stands here, in ms. Later its worker is asked: a failover may have
 * lost the end, and the run gone on without it.
 */
const END_BELIEVED_MS = 2_000

export interface RunMirrorsOptions
  extends Omit<RunMirrorOptions, 'runId' | 'worker' | 'onComplete' | 'onIdle'> {
  readonly remoteRuns: RemoteRuns
}

/** The workers' runs that are read at this gateway, each over one upstream. */
export class RunMirrors {
  readonly #options: RunMirrorsOptions
  /** For who comes. */
  readonly #mirrors = new Map<string, RunMirror>()
  /** With those that only who read them before still does. */
  readonly #open = new Set<RunMirror>()

  constructor(options: RunMirrorsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#open.size
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
      onComplete: ({ status, totalTasks, successCount, errorCount }, endedAt) => {
        remoteRuns.noteChange(runId, { status, totalTasks, successCount, errorCount, endedAt })
        options.clock.after(END_BELIEVED_MS, () => this.#pass(mirror))
      },
      onIdle: () => {
        this.#pass(mirror)
        this.#open.delete(mirror)
      },
    })
    this.#mirrors.set(runId, mirror)
    this.#open.add(mirror)
    return mirror
  }

  /** Who comes from now on gets another. */
  #pass(mirror: RunMirror): void {
    if (this.#mirrors.get(mirror.runId) === mirror) this.#mirrors.delete(mirror.runId)
  }

  /** The mirror of a run, wherever it is, for who may read it. @throws as `RemoteRuns.locate`. */
  async find(runId: string, asker: Asker): Promise<RunMirror> {
    return this.of(runId, await this.#options.remoteRuns.locate(runId, asker))
  }

  close(): void {
    for (const mirror of this.#open) mirror.close()
  }
}
