import { type Clock, HealthAnswer, type UpstreamView } from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import { isAway, type Worker } from './worker.ts'
import type { WorkerPool } from './worker-pool.ts'

const healthAnswer = Compile(HealthAnswer)

/** How long a worker may take to say how it is, in ms. */
const CHECK_TIMEOUT_MS = 1_000
/** How long what it said stands, in ms. */
const REUSE_MS = 2_000

type Answer = Pick<UpstreamView, 'state' | 'tookMs'>

/** What a worker said of itself, where it did. */
export interface WorkerCheck extends Answer {
  /** Of its process, where it is one of a cluster. */
  readonly nodeId?: string
  /** Whether something answers there that is no worker. Default: no. */
  readonly isStranger?: boolean
}

interface Checked extends WorkerCheck {
  readonly worker: Worker
}

/** Asks the workers how they are, for who watches this gateway. Who asks meanwhile, or just after, shares the answers. */
export class WorkerChecks {
  readonly #pool: WorkerPool
  readonly #clock: Pick<Clock, 'now'>
  #asking: Promise<readonly Checked[]> | undefined
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(pool: WorkerPool, clock: Pick<Clock, 'now'>) {
    this.#pool = pool
    this.#clock = clock
  }

  /** How each worker is: those of the configuration in its order, then those that have announced themselves. */
  async run(): Promise<UpstreamView[]> {
    const now = this.#clock.now()
    if (this.#asking === undefined || Math.abs(now - this.#askedAt) >= REUSE_MS) {
      this.#askedAt = now
      const check = async (worker: Worker) => ({ worker, ...(await checkWorker(worker)) })
      this.#asking = Promise.all(this.#pool.workers.map(check))
    }
    const checked = await this.#asking
    return checked.map(({ worker, nodeId: _, isStranger: __, ...answer }, index) => ({
      name: `worker-${index + 1}`,
      url: worker.url,
      streams: worker.load,
      ...answer,
    }))
  }
}

/** Asks a worker how it is. Never rejects. */
export async function checkWorker(worker: Worker): Promise<WorkerCheck> {
  const beganMs = performance.now()
  try {
    const { body } = await worker.request('/healthz', { timeoutMs: CHECK_TIMEOUT_MS })
    const answer: unknown = JSON.parse(new TextDecoder().decode(body))
    if (!healthAnswer.Check(answer)) return { state: 'down', isStranger: true }
    const state = answer.status === 'ok' ? 'up' : answer.status
    const { nodeId } = answer
    const tookMs = Math.round(performance.now() - beganMs)
    return { state, tookMs, ...(nodeId === undefined ? {} : { nodeId }) }
  } catch (error) {
    return isAway(error) ? { state: 'down' } : { state: 'down', isStranger: true }
  }
}
