import { createHash } from 'node:crypto'
import { ProblemError, RunAccepted } from '@tributary/protocol'
import type { Asker } from '@tributary/service'
import { Value } from 'typebox/value'
import { badAnswer, isAway, type Worker, type WorkerRequest, WorkerUnreachableError } from './worker.ts'
import { able, inTurn } from './worker-choice.ts'

/** What a worker is asked to start. */
export interface StartRequest {
  readonly path: string
  readonly request: Omit<WorkerRequest, 'as'>
  /** The registered tasks that it names. */
  readonly handlers?: readonly string[]
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

export interface WorkerPoolOptions {
  /** The workers of the configuration. */
  readonly listed: readonly Worker[]
  /** Whether any of them serves the runs of all, as in a cluster. Default: each its own. */
  readonly shared?: boolean
  readonly random: () => number
}

/** The workers there are, and in which order they are asked; one that is away is passed over, and tried again. */
export class WorkerPool {
  readonly shared: boolean
  readonly #random: () => number
  readonly #listed: readonly Worker[]
  #workers: readonly Worker[]

  constructor({ listed, shared = false, random }: WorkerPoolOptions) {
    this.shared = shared
    this.#random = random
    this.#listed = listed
    this.#workers = listed
  }

  /** Those of the configuration. */
  get listed(): readonly Worker[] {
    return this.#listed
  }

  get workers(): readonly Worker[] {
    return this.#workers
  }

  /** From now on these are the workers: those of the configuration, and those that have announced themselves. */
  set(workers: readonly Worker[]): void {
    this.#workers = workers
  }

  /** The worker of an address. */
  at(url: string): Worker | undefined {
    return this.#workers.find((worker) => worker.url === url)
  }

  /** In the order in which they are to be asked: those that were away a moment ago are the last resort. */
  inTurn(): readonly Worker[] {
    return inTurn(this.#workers, this.#random)
  }

  /**
   * The workers that can be asked for the runs of this one, in order: itself, and where runs are shared the others,
   * which come first while it is away.
   */
  serving(worker: Worker): readonly Worker[] {
    if (!this.shared) return [worker]
    const all = this.inTurn()
    if (all.length === 0) return [worker]
    if (!all.includes(worker) || worker.avoided) return all
    return [worker, ...all.filter((other) => other !== worker)]
  }

  /** The same, of an address; none where no worker has it, unless runs are shared. */
  servingAt(url: string): readonly Worker[] {
    const worker = this.at(url)
    if (worker !== undefined) return this.serving(worker)
    return this.shared ? this.inTurn() : []
  }

  /**
   * Asks those that serve the runs of a worker, one after the other, until one answers. For what may be asked twice.
   *
   * @throws what the last one that is away said; what the first other said.
   */
  async askServing<T>(worker: Worker, ask: (worker: Worker) => Promise<T>): Promise<T> {
    let failure: unknown
    for (const each of this.serving(worker)) {
      try {
        return await ask(each)
      } catch (error) {
        if (!isAway(error)) throw error
        failure = error
      }
    }
    throw failure
  }

  /**
   * Starts a run on the first worker that can be reached. A request is never sent twice.
   *
   * @throws ProblemError `upstream_unavailable` where none can; `unknown_handler` where none has all that it names;
   *   what the worker refused otherwise.
   */
  async start(start: AskedStart): Promise<PlacedRun> {
    return this.#startOnFirst(able(this.inTurn(), start.handlers), start)
  }

  /**
   * Starts a run once, however often it is asked for with the same key. Where no other worker knows the key it is
   * always asked of the same.
   *
   * @throws as `start`; ProblemError `upstream_unavailable` where the one that knows the key cannot be reached.
   */
  async startOnce(start: AskedStart, key: string): Promise<PlacedRun> {
    if (this.shared) return this.#startOnFirst(able(this.inTurn(), start.handlers), start, key)
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

  async #startOnFirst(workers: readonly Worker[], start: AskedStart, key?: string): Promise<PlacedRun> {
    let failure: WorkerUnreachableError | undefined
    for (const worker of workers) {
      try {
        return await this.startOn(worker, start, key)
      } catch (error) {
        if (!(error instanceof WorkerUnreachableError)) throw error
        failure = error
      }
    }
    throw noWorker(failure)
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
