import { type Clock, HealthAnswer, type UpstreamView } from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import type { Worker } from './worker.ts'
import type { WorkerPool } from './worker-pool.ts'

const healthAnswer = Compile(HealthAnswer)

/** How long a worker may take to say how it is, in ms. */
const CHECK_TIMEOUT_MS = 1_000
/** How long what it said stands, in ms. */
const REUSE_MS = 2_000

type Answer = Pick<UpstreamView, 'state' | 'tookMs'>

/** Asks the workers how they are, for who watches this gateway. Who asks meanwhile, or just after, shares the answers. */
export class WorkerChecks {
  readonly #pool: WorkerPool
  readonly #clock: Pick<Clock, 'now'>
  #asking: Promise<readonly Answer[]> | undefined
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(pool: WorkerPool, clock: Pick<Clock, 'now'>) {
    this.#pool = pool
    this.#clock = clock
  }

  /** How each worker is, in the order of the configuration. */
  async run(): Promise<UpstreamView[]> {
    const { workers } = this.#pool
    const now = this.#clock.now()
    if (this.#asking === undefined || Math.abs(now - this.#askedAt) >= REUSE_MS) {
      this.#askedAt = now
      this.#asking = Promise.all(workers.map(ask))
    }
    const answers = await this.#asking
    return workers.map((worker, index) => ({
      name: `worker-${index + 1}`,
      url: worker.url,
      streams: worker.load,
      ...(answers[index] ?? { state: 'down' }),
    }))
  }
}

async function ask(worker: Worker): Promise<Answer> {
  const beganMs = performance.now()
  try {
    const { body } = await worker.request('/healthz', { timeoutMs: CHECK_TIMEOUT_MS })
    const answer: unknown = JSON.parse(new TextDecoder().decode(body))
    if (!healthAnswer.Check(answer)) return { state: 'down' }
    const state = answer.status === 'ok' ? 'up' : answer.status
    return { state, tookMs: Math.round(performance.now() - beganMs) }
  } catch {
    return { state: 'down' }
  }
}
