import type { Fetch } from '@tributary/client'
import type { Clock } from '@tributary/protocol'
import type { Run } from '@tributary/runs'
import type { Asker } from '@tributary/service'
import { ForeignSource } from './foreign-source.ts'
import type { OwedCancels } from './owed-cancels.ts'
import type { RemoteRuns } from './remote-runs.ts'
import type { RunMirror } from './run-mirror.ts'
import type { RunMirrors } from './run-mirrors.ts'
import { SourceError } from './source.ts'
import { type RecordedSource, SourceRecord } from './source-record.ts'
import type { SourceSpec, WorkerSpec } from './source-spec.ts'
import { type Worker, WorkerUnreachableError } from './worker.ts'
import { able } from './worker-choice.ts'
import { type AskedStart, noWorker, type WorkerPool } from './worker-pool.ts'
import { WorkerRunSource } from './worker-run-source.ts'

export interface SourceBuilderOptions {
  readonly pool: WorkerPool
  readonly remoteRuns: RemoteRuns
  readonly mirrors: RunMirrors
  readonly owedCancels: OwedCancels
  readonly clock: Clock
  readonly random: () => number
  /** `fetch` for absolute endpoints. */
  readonly fetch: Fetch
  readonly maxEventChars: number
  /** How long a stream that broke is waited for. */
  readonly giveUpMs: number
}

/** Makes the sources of runs, new and resumed ones. */
export class SourceBuilder {
  readonly #options: SourceBuilderOptions

  constructor(options: SourceBuilderOptions) {
    this.#options = options
  }

  /** @param index of the source among those of its run. @param asker on whose behalf our workers are asked. */
  build(run: Run, index: number, spec: SourceSpec, asker: Asker): RecordedSource {
    const { clock, random, fetch, maxEventChars, giveUpMs, owedCancels } = this.#options
    const record = new SourceRecord(run, index)
    if (spec.kind === 'foreign') {
      const source = new ForeignSource({ ...spec, fetch, clock, random, maxEventChars, giveUpMs })
      return { source, record }
    }
    const source = new WorkerRunSource({
      name: spec.name,
      open: () => this.#open(record, spec, asker),
      ...(spec.start === undefined
        ? {}
        : { end: ({ worker, runId }: RunMirror) => owedCancels.add(worker, runId) }),
      clock,
      giveUpMs,
      patient: run.resumed,
    })
    return { source, record }
  }

  /**
   * The mirror of a source's run, which is begun where it is not there yet. Where it is, is stored, and with that that
   * it may be read.
   */
  async #open(record: SourceRecord, { runId, start }: WorkerSpec, asker: Asker): Promise<RunMirror> {
    const { pool, mirrors } = this.#options
    const { place } = record
    const workers = place === undefined ? pool.inTurn() : pool.servingAt(place.worker)
    const [first] = workers
    if (first === undefined && place !== undefined && !pool.shared) {
      throw new SourceError('worker_lost', 'The worker of this source is no longer among WORKER_URLS')
    }
    if (place?.runId !== undefined && first !== undefined) return mirrors.of(place.runId, first)
    if (start === undefined) {
      const mirror = await mirrors.find(runId, asker)
      await record.notePlace({ worker: mirror.worker.url, runId })
      return mirror
    }
    let failure: WorkerUnreachableError | undefined
    for (const worker of able(workers, start.handlers)) {
      try {
        return await this.#begin(record, { ...start, as: asker }, worker)
      } catch (error) {
        if (!(error instanceof WorkerUnreachableError)) throw error
        failure = error
      }
    }
    throw noWorker(failure)
  }

  async #begin(record: SourceRecord, start: AskedStart, worker: Worker): Promise<RunMirror> {
    const { pool, remoteRuns, mirrors } = this.#options
    // First where, then what: if we end in between, the same worker is asked again with the same key, or in a cluster
    // another that knows it.
    await record.notePlace({ worker: worker.url })
    const placed = await pool.startOn(worker, start, record.key)
    remoteRuns.noteStarted(placed, start.as)
    await record.notePlace({ worker: worker.url, runId: placed.runId })
    return mirrors.of(placed.runId, worker)
  }
}
