import type { Fetch } from '@tributary/client'
import type { Worker } from './worker.ts'
import type { WorkerPool } from './worker-pool.ts'

/** The status of a worker that is about to stop, or is full. */
const TAKES_NO_MORE = 503

export interface RunUpstreamOptions {
  readonly runId: string
  /** Who is read first. */
  readonly worker: Worker
  /** Knows who else can be, where that one is away. */
  readonly pool: Pick<WorkerPool, 'serving'>
}

/**
 * Where the events of a worker's run come from: any worker that serves it, first the one that was read before. Their
 * ids are the same, so each goes on where another was.
 */
export class RunUpstream {
  readonly #options: RunUpstreamOptions
  readonly #path: string
  #worker: Worker
  #letGo: () => void

  constructor(options: RunUpstreamOptions) {
    const { runId, worker } = options
    this.#options = options
    this.#path = `/api/runs/${runId}/events?format=envelope`
    this.#worker = worker
    this.#letGo = worker.hold()
  }

  /** Who is read, or was the last. */
  get worker(): Worker {
    return this.#worker
  }

  get url(): string {
    return this.#worker.url + this.#path
  }

  readonly fetch: Fetch = async (_url, init) => {
    const workers = this.#options.pool.serving(this.#worker)
    for (const worker of workers.slice(0, -1)) {
      const skip = new AbortController()
      try {
        const answer = await this.#ask(worker, {
          ...init,
          signal: AbortSignal.any([init.signal, skip.signal]),
        })
        if (answer.status !== TAKES_NO_MORE) return answer
        skip.abort()
      } catch {
        init.signal.throwIfAborted()
      }
      worker.avoid()
    }
    return this.#ask(workers.at(-1) ?? this.#worker, init)
  }

  /** It is read no more. */
  release(): void {
    this.#letGo()
  }

  /** One whose lease ends says nothing any more, and is not waited for. */
  #ask(worker: Worker, init: Parameters<Fetch>[1]): ReturnType<Fetch> {
    this.#moveTo(worker)
    const signal = AbortSignal.any([init.signal, worker.lost])
    return worker.fetch(worker.url + this.#path, { ...init, signal })
  }

  #moveTo(worker: Worker): void {
    if (worker === this.#worker) return
    this.#letGo()
    this.#worker = worker
    this.#letGo = worker.hold()
  }
}
