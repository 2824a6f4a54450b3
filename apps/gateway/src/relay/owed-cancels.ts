import type { Cluster } from '@tributary/cluster'
import type { EventLog, EventStore, Following } from '@tributary/eventlog'
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

const OwedCancel = Type.Object({
  worker: Type.String(),
  sinceMs: Type.Number(),
  /** The node that sends it. */
  by: Type.Optional(Type.String()),
})
type OwedCancel = Static<typeof OwedCancel>
const owedCancel = Compile(OwedCancel)

export interface OwedCancelsOptions {
  readonly store: EventStore
  readonly pool: WorkerPool
  readonly cluster: Pick<Cluster, 'nodeId' | 'nodes' | 'onNodeGone'>
  readonly clock: Clock
}

/**
 * The cancels of workers' runs that their workers have not confirmed. A run of ours that is cancelled ends at once,
 * however far away its worker is; what it had begun there ends as soon as the worker can be told, also where this
 * gateway is restarted in between, or in a cluster dies: then another one tells it.
 */
export class OwedCancels {
  readonly #options: OwedCancelsOptions
  readonly #log: EventLog
  readonly #following: Following
  readonly #closing = new AbortController()
  #offNodeGone: (() => void) | undefined

  private constructor(options: OwedCancelsOptions, log: EventLog, following: Following) {
    this.#options = options
    this.#log = log
    this.#following = following
  }

  static async open(options: OwedCancelsOptions): Promise<OwedCancels> {
    const retention = () => ({ maxEvents: 0, maxAgeMs: 0 })
    const log = await options.store.open(LOG, { retention })
    const following = log.follow()
    await following.ready
    return new OwedCancels(options, log, following)
  }

  get size(): number {
    return this.#log.attributes.size
  }

  /** Cancels a run, now or when its worker is back. Resolves once the worker has confirmed it, or is given up. */
  async add(worker: Worker, runId: string): Promise<void> {
    const { clock, cluster } = this.#options
    const owed = { worker: worker.url, sinceMs: clock.now(), by: cluster.nodeId }
    if (this.size < MAX_STORED) await this.#note(runId, JSON.stringify(owed)).catch(() => undefined)
    await this.#send(runId, owed)
  }

  /** Sends those that nobody sends any more, now and whenever a node is gone. Waits for a store that is away. */
  async begin(): Promise<void> {
    const { cluster } = this.#options
    this.#offNodeGone ??= cluster.onNodeGone(({ nodeId }) => this.#takeOver((by) => by === nodeId))
    for (; !this.#closing.signal.aborted; await this.#pause()) {
      try {
        const living = new Set((await cluster.nodes()).map(({ nodeId }) => nodeId))
        await this.#takeOver((by) => by === undefined || !living.has(by))
        return
      } catch (error) {
        if (!(error instanceof ProblemError && error.retryable)) throw error
      }
    }
  }

  /** Sends no more. What is owed still is stored. */
  close(): void {
    this.#closing.abort()
    this.#offNodeGone?.()
    this.#following.end()
  }

  /** Resolves once it is stored that they are this node's. */
  async #takeOver(isOrphan: (by: string | undefined) => boolean): Promise<void> {
    const taken: Record<string, OwedCancel> = {}
    for (const [runId, text] of this.#log.attributes) {
      const owed: unknown = JSON.parse(text)
      if (!owedCancel.Check(owed) || !isOrphan(owed.by)) continue
      taken[runId] = { ...owed, by: this.#options.cluster.nodeId }
    }
    const entries = Object.entries(taken)
    if (entries.length === 0) return
    const attributes = Object.fromEntries(entries.map(([runId, owed]) => [runId, JSON.stringify(owed)]))
    await this.#log.append([], { attributes })
    for (const [runId, owed] of entries) void this.#send(runId, owed)
  }

  async #send(runId: string, { worker: url, sinceMs }: OwedCancel): Promise<void> {
    const { signal } = this.#closing
    const { pool, clock } = this.#options
    for (; ; await this.#pause()) {
      if (signal.aborted) return
      const workers = pool.servingAt(url)
      // One that is no longer configured is asked no more, unless others can speak for it.
      if (workers.length === 0 && !pool.shared) break
      if (clock.now() - sinceMs >= OWED_MS || (await isConfirmed(workers, runId))) break
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
      const cancel = this.#options.clock.after(RETRY_MS, end)
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
