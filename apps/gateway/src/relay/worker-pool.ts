import { createHash } from 'node:crypto'
import { ProblemError, RunAccepted } from '@tributary/protocol'
import type { Asker } from '@tributary/service'
import { Value } from 'typebox/value'
import { badAnswer, type Worker, type WorkerRequest, WorkerUnreachableError } from './worker.ts'

/** What a worker is asked to start. */
export interface StartRequest {
  readonly path: string
  readonly request: Omit<WorkerRequest, 'as'>
}

/** The same, and for whom. */
export interface AskedStart extends StartRequest {
  readonly as: Asker
}

/** A run that was started, and where. */
export interface PlacedRun {
  readonly runId: string
  readonly worker: Worker
  /** As the worker answered. */
  readonly status: RunAccepted['status']
  /** Whether an earlier request with the same key started it. */
  readonly replayed: boolean
}

/** The workers: least busy first; one that is away is passed over, and tried again. */
export class WorkerPool {
  readonly #workers: readonly Worker[]

  constructor(workers: readonly Worker[]) {
    this.#workers = workers
  }

  get workers(): readonly Worker[] {
    return this.#workers
  }

  /** The worker of an address. */
  at(url: string): Worker | undefined {
    return this.#workers.find((worker) => worker.url === url)
  }

  /** Least busy first; those that were away a moment ago are the last resort. */
  inTurn(): readonly Worker[] {
    return this.#workers.toSorted((a, b) => Number(a.avoided) - Number(b.avoided) || a.load - b.load)
  }

  /**
   * Starts a run on the first worker that can be reached. A request is never sent twice.
   *
   * @throws ProblemError `upstream_unavailable` where none can; what the worker refused otherwise.
   */
  async start(start: AskedStart): Promise<PlacedRun> {
    let failure: WorkerUnreachableError | undefined
    for (const worker of this.inTurn()) {
      try {
        return await this.startOn(worker, start)
      } catch (error) {
        if (!(error instanceof WorkerUnreachableError)) throw error
        failure = error
      }
    }
    throw noWorker(failure)
  }

  /**
   * Starts a run once, however often it is asked for with the same key: always on the same worker, since no other
   * knows the key.
   *
   * @throws ProblemError `upstream_unavailable` where that one cannot be reached; what it refused otherwise.
   */
  async startOnce(start: AskedStart, key: string): Promise<PlacedRun> {
    const [worker] = this.#workers.toSorted((a, b) => Buffer.compare(rankOf(key, b), rankOf(key, a)))
    if (worker === undefined) throw noWorker()
    try {
      return await this.startOn(worker, start, key)
    } catch (error) {
      if (!(error instanceof WorkerUnreachableError)) throw error
      const detail = 'The worker that knows this Idempotency-Key cannot be reached; try again in a moment.'
      throw new ProblemError('upstream_unavailable', detail, { retryAfterS: 1, cause: error })
    }
  }

  /** Starts a run on this worker. @throws WorkerUnreachableError where it has not begun it; ProblemError otherwise. */
  async startOn(worker: Worker, { path, request, as }: AskedStart, key?: string): Promise<PlacedRun> {
    const headers = { ...request.headers, ...(key === undefined ? {} : { 'idempotency-key': key }) }
    // Those that start together do not all go to the same worker.
    const release = worker.hold()
    try {
      const answer = await worker.request(path, { ...request, headers, as })
      const runId = answer.headers['run-id']
      if (runId === undefined) throw badAnswer(worker, path)
      const replayed = answer.headers['idempotent-replayed'] === 'true'
      return { runId, worker, status: statusOf(answer.body), replayed }
    } finally {
      release()
    }
  }
}

/** Rendezvous hashing: of all workers the one that ranks highest for a key, so that one more or less moves few keys. */
function rankOf(key: string, { url }: Worker): Buffer {
  return createHash('sha256').update(`${url}\n${key}`).digest()
}

function statusOf(body: Uint8Array): RunAccepted['status'] {
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(body))
    return Value.Check(RunAccepted, answer) ? answer.status : 'accepted'
  } catch {
    return 'accepted'
  }
}

export function noWorker(cause?: unknown): ProblemError {
  return new ProblemError('upstream_unavailable', 'No worker can be reached; try again in a moment.', {
    retryAfterS: 1,
    cause,
  })
}
