import type { WholeRequest } from '@tributary/outbound'
import { ProblemError, RunView } from '@tributary/protocol'
import Type, { type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { type Worker, WorkerUnreachableError } from './worker.ts'

/** Runs whose worker is remembered; of others the workers are asked. */
const MAX_REMEMBERED_RUNS = 50_000

/** A run that was started, and where. */
export interface PlacedRun {
  readonly runId: string
  readonly worker: Worker
}

/** An answer of a worker that is not what the protocol says. */
const badAnswer = (worker: Worker, path: string) =>
  new ProblemError(
    'upstream_failed',
    `The worker ${worker.url} answered ${path} with something else than expected`,
  )

/** The workers: least busy first; one that is away is passed over, and tried again. */
export class WorkerPool {
  readonly #workers: readonly Worker[]
  readonly #workerOf = new Map<string, Worker>()

  constructor(workers: readonly Worker[]) {
    this.#workers = workers
  }

  get workers(): readonly Worker[] {
    return this.#workers
  }

  /** Runs whose worker is remembered. */
  get rememberedCount(): number {
    return this.#workerOf.size
  }

  /**
   * Starts a run on the first worker that can be reached. A request is never sent twice.
   *
   * @throws ProblemError `upstream_unavailable` where none can; what the worker refused otherwise.
   */
  async start(path: string, request: Omit<WholeRequest, 'url'>): Promise<PlacedRun> {
    let failure: WorkerUnreachableError | undefined
    for (const worker of this.#inTurn()) {
      // Those that start together do not all go to the same worker.
      const release = worker.hold()
      try {
        const { headers } = await worker.request(path, request)
        const runId = headers['run-id']
        if (runId === undefined) throw badAnswer(worker, path)
        this.#remember(runId, worker)
        return { runId, worker }
      } catch (error) {
        if (!(error instanceof WorkerUnreachableError)) throw error
        failure = error
      } finally {
        release()
      }
    }
    throw unavailable(failure)
  }

  /** Where a run is. @throws ProblemError `run_not_found`, `upstream_unavailable`. */
  async locate(runId: string): Promise<Worker> {
    const known = this.#workerOf.get(runId)
    if (known !== undefined) return known
    let unreachable = 0
    for (const worker of this.#workers) {
      try {
        await worker.request(`/api/runs/${encodeURIComponent(runId)}`)
        this.#remember(runId, worker)
        return worker
      } catch (error) {
        if (error instanceof WorkerUnreachableError) unreachable += 1
        else if (!(error instanceof ProblemError) || error.code !== 'run_not_found') throw error
      }
    }
    // A worker that is away may be the one.
    if (unreachable > 0) throw unavailable()
    throw new ProblemError(
      'run_not_found',
      `There is no run ${JSON.stringify(runId)}; it may have been too old to keep.`,
    )
  }

  /** Asks a worker for JSON of a schema. */
  async ask<T extends TSchema>(
    worker: Worker,
    schema: T,
    path: string,
    method: 'GET' | 'POST' = 'GET',
  ): Promise<Static<T>> {
    try {
      const { body } = await worker.request(path, { method })
      const answer: unknown = JSON.parse(new TextDecoder().decode(body))
      if (Value.Check(schema, answer)) return answer
    } catch (error) {
      if (error instanceof WorkerUnreachableError) throw unavailable(error)
      if (!(error instanceof SyntaxError)) throw error
    }
    throw badAnswer(worker, path)
  }

  /** The runs of all workers that can be reached. */
  async list(): Promise<RunView[]> {
    const schema = Type.Object({ runs: Type.Array(RunView) })
    const lists = await Promise.allSettled(
      this.#workers.map((worker) => this.ask(worker, schema, '/api/runs')),
    )
    return lists.flatMap((list) => (list.status === 'fulfilled' ? list.value.runs : []))
  }

  /** Least busy first; those that were away a moment ago are the last resort. */
  #inTurn(): Worker[] {
    return this.#workers.toSorted((a, b) => Number(a.avoided) - Number(b.avoided) || a.load - b.load)
  }

  #remember(runId: string, worker: Worker): void {
    this.#workerOf.set(runId, worker)
    if (this.#workerOf.size <= MAX_REMEMBERED_RUNS) return
    const [oldest] = this.#workerOf.keys()
    if (oldest !== undefined) this.#workerOf.delete(oldest)
  }
}

function unavailable(cause?: unknown): ProblemError {
  return new ProblemError('upstream_unavailable', 'No worker can be reached; try again in a moment.', {
    retryAfterS: 1,
    cause,
  })
}
