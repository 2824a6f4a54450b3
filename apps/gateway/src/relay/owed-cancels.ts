import type { EventLog, EventStore } from '@tributary/eventlog'
import { type Clock, ProblemError } from '@tributary/protocol'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Worker } from './worker.ts'
import type { WorkerPool } from './worker-pool.ts'

/** The log whose attributes are the cancels that are owed. It holds no events. */
const LOG = 'cancels'
/** Cancels that are stored at most; one more is sent all the same, as long as this process lives. */
const MAX_STORED = 10_000
/** How long after an attempt the next one follows, and how long they go on: a run is not kept longer than that. */
const RETRY_MS = 1_000
const OWED_MS = 86_400_000

const OwedCancel = Type.Object({ worker: Type.String(), sinceMs: Type.Number() })
type OwedCancel = Static<typeof OwedCancel>
const owedCancel = Compile(OwedCancel)

export interface OwedCancelsOptions {
  readonly store: EventStore
  readonly pool: WorkerPool
  readonly clock: Clock
}

/**
 * The cancels of workers' runs that their workers have not confirmed. A run of ours that is cancelled ends at once,
 * however far away its worker is; what it had begun there ends as soon as the worker can be told, also where this
 * gateway is restarted in between.
 */
export class OwedCancels {
  readonly #pool: WorkerPool
  readonly #clock: Clock
  readonly #log: EventLog
  readonly #closing = new AbortController()

  private constructor({ pool, clock }: OwedCancelsOptions, log: EventLog) {
    this.#pool = pool
    this.#clock = clock
    this.#log = log
  }

  static async open(options: OwedCancelsOptions): Promise<OwedCancels> {
    const retention = () => ({ maxEvents: 0, maxAgeMs: 0 })
    return new OwedCancels(options, await options.store.open(LOG, { retention }))
  }

  get size(): number {
    return this.#log.attributes.size
  }

  /** Cancels a run, now or when its worker is back. Resolves once the worker has confirmed it, or is given up. */
  async add(worker: Worker, runId: string): Promise<void> {
    const owed = { worker: worker.url, sinceMs: this.#clock.now() }
    if (this.size < MAX_STORED) await this.#note(runId, JSON.stringify(owed)).catch(() => undefined)
    await this.#send(runId, owed)
  }

  /** Sends those that an earlier process owed. */
  resume(): void {
    for (const [runId, text] of this.#log.attributes) {
      const owed: unknown = JSON.parse(text)
      if (owedCancel.Check(owed)) void this.#send(runId, owed)
    }
  }

  /** Sends no more. What is owed still is stored. */
  close(): void {
    this.#closing.abort()
  }

  async #send(runId: string, { worker: url, sinceMs }: OwedCancel): Promise<void> {
    const { signal } = this.#closing
    for (; ; await this.#pause()) {
      if (signal.aborted) return
      const workers = this.#pool.servingAt(url)
      // One that is no longer configured is asked no more, unless others can speak for it.
      if (workers.length === 0 && !this.#pool.shared) break
      if (this.#clock.now() - sinceMs >= OWED_MS || (await isConfirmed(workers, runId))) break
    }
    await this.#note(runId, null).catch(() => undefined)
  }

  async #note(runId: string, text: string | null): Promise<void> {
    await this.#log.append([], { attributes: { [runId]: text } })
  }

  #pause(): Promise<void> {
    const { signal } = this.#closing
    return new Promise((resolve) => {
      const end = () => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#clock.after(RETRY_MS, end)
      signal.addEventListener('abort', end, { once: true })
    })
  }
}

/** Whether one of the workers has ended the run, or has none. */
async function isConfirmed(workers: readonly Worker[], runId: string): Promise<boolean> {
  for (const worker of workers) {
    try {
      await worker.request(`/api/runs/${runId}/cancel`, { method: 'POST' })
      return true
    } catch (error) {
      if (error instanceof ProblemError && !error.retryable) return true
    }
  }
  return false
}
