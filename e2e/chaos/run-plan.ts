import { TICK } from './external-api.ts'
import type { SourceRecord } from './ledger.ts'
import type { SeededRandom } from './seeded-random.ts'

/** A run to start, and what is to come of it. */
export interface RunPlan {
  /** Its idempotency key, which is also in every address that it calls. */
  readonly key: string
  readonly kind: string
  /** Who is asked to start it. */
  readonly at: 'gateway' | 'worker'
  /** Whether it is a worker's run, whoever was asked: then it can be read there, too. */
  readonly isWorkers: boolean
  readonly path: string
  readonly body: unknown
  readonly taskIds: readonly string[]
  readonly mustSucceed: readonly string[]
  readonly sources: readonly SourceRecord[]
  /** When it is cancelled, after its start is answered. */
  readonly cancelAfterMs: number | undefined
}

/** How many are cancelled. */
const CANCELS = 0.1

const PARALLEL_TASKS = '/api/sse-proxy/reactive/parallel-tasks/sse-emitter'
const RELAY = '/api/sse-proxy/relay/sse-emitter'
const MERGE = '/api/sse-proxy/merge-streams/sse-emitter'
const HYBRID = '/api/sse-integration/hybrid-execution/sse-emitter'

/** Decides on a run, by chance. `apiUrl` is the external API's. */
export function planRun(key: string, random: SeededRandom, apiUrl: string): RunPlan {
  const plans = new RunPlans(key, random, apiUrl)
  const make = random.pick([
    () => plans.parallel('gateway'),
    () => plans.parallel('gateway'),
    () => plans.parallel('worker'),
    () => plans.foreignRelay(),
    () => plans.workerRelay(),
    () => plans.merge(),
    () => plans.merge(),
    () => plans.hybrid(),
    () => plans.hybrid(),
  ])
  return { ...make(), cancelAfterMs: random.chance(CANCELS) ? random.int(0, 1_000) : undefined }
}

interface HttpTask {
  readonly id: string
  readonly url: string
  readonly method?: string
  readonly idempotent?: boolean
}

/** Those that may be called again. */
function repeatable(tasks: readonly HttpTask[]): string[] {
  return tasks.filter(({ method = 'GET', idempotent = method === 'GET' }) => idempotent).map(({ id }) => id)
}

/** The kinds of runs. */
class RunPlans {
  readonly #key: string
  readonly #random: SeededRandom
  readonly #apiUrl: string

  constructor(key: string, random: SeededRandom, apiUrl: string) {
    this.#key = key
    this.#random = random
    this.#apiUrl = apiUrl
  }

  parallel(at: 'gateway' | 'worker'): RunPlan {
    const tasks = this.#httpTasks('task', this.#random.int(3, 8))
    return {
      ...this.#plan(
        `parallel (${at})`,
        at,
        at === 'gateway' ? PARALLEL_TASKS : '/api/sse/emitter/parallel-tasks',
      ),
      isWorkers: true,
      body: { tasks, concurrency: this.#random.int(2, 8) },
      taskIds: tasks.map(({ id }) => id),
      mustSucceed: repeatable(tasks),
    }
  }

  foreignRelay(): RunPlan {
    const ids = this.#random.chance(0.7)
    const isPost = !ids && this.#random.chance(0.5)
    const source = this.#ticks('relayed', ids)
    return {
      ...this.#plan(isPost ? 'relay of a POST' : `relay ${ids ? 'with' : 'without'} ids`, 'gateway', RELAY),
      body: { endpoint: source.endpoint, ...(isPost ? { method: 'POST', body: {} } : {}) },
      // Of a relay the name of its source is the endpoint.
      sources: [{ ...source.record, name: source.endpoint }],
    }
  }

  workerRelay(): RunPlan {
    const { endpoint, record } = this.#flow(undefined)
    return {
      ...this.#plan('relay of a worker', 'gateway', RELAY),
      isWorkers: true,
      body: { endpoint },
      sources: [record],
    }
  }

  merge(): RunPlan {
    const sources = [
      this.#ticks('first', true),
      this.#ticks('second', this.#random.chance(0.8)),
      this.#flow('flow'),
    ]
    return {
      ...this.#plan('merge', 'gateway', MERGE),
      body: sources.map(({ endpoint, record: { name } }) => ({ name, endpoint })),
      sources: sources.map(({ record }) => record),
    }
  }

  hybrid(): RunPlan {
    const calls = this.#httpTasks('remote', this.#random.int(1, 4))
    // Handlers that say of themselves that they may be run again.
    const fetched = { id: 'fetched', name: 'Fetch External Data', input: { url: this.#taskUrl('fetched') } }
    const local = [
      { id: 'stats', name: 'Calculate Stats', input: { count: 5_000 } },
      // Nobody's handler: it is simulated, and takes a second.
      { id: 'simulated', name: `Something of ${this.#key}` },
    ]
    const remote = [...calls, ...(this.#random.chance(0.5) ? [fetched] : [])]
    return {
      ...this.#plan('hybrid', 'gateway', HYBRID),
      body: { localTasks: local, remoteTasks: remote },
      taskIds: [...local, ...remote].map(({ id }) => id),
      mustSucceed: [...local, ...remote.filter((task) => task === fetched)]
        .map(({ id }) => id)
        .concat(repeatable(calls)),
    }
  }

  #plan(kind: string, at: RunPlan['at'], path: string): RunPlan {
    return {
      key: this.#key,
      kind,
      at,
      isWorkers: false,
      path,
      body: undefined,
      taskIds: [],
      mustSucceed: [],
      sources: [],
      cancelAfterMs: undefined,
    }
  }

  /** Calls of the external API: quick and slow ones, flaky ones, and some that must not be repeated. */
  #httpTasks(prefix: string, count: number): HttpTask[] {
    return Array.from({ length: count }, (_, index) => {
      const id = `${prefix}-${index + 1}`
      const ms = this.#random.chance(0.3) ? this.#random.int(500, 2_500) : this.#random.int(1, 200)
      const make = this.#random.pick<() => HttpTask>([
        () => ({ id, url: this.#taskUrl(id, { ms }) }),
        () => ({ id, url: this.#taskUrl(id, { ms }) }),
        () => ({ id, url: this.#taskUrl(id, { ms: 5, fail: 1 }) }),
        () => ({ id, url: this.#taskUrl(id, { ms }), method: 'POST', body: { id } }),
        () => ({
          id,
          url: this.#taskUrl(id, { ms, repeatable: 1 }),
          method: 'PUT',
          body: { id },
          idempotent: true,
        }),
      ])
      return make()
    })
  }

  #taskUrl(id: string, query: Readonly<Record<string, number>> = {}): string {
    return `${this.#apiUrl}/task/${this.#key}/${id}?${new URLSearchParams(asText(query))}`
  }

  /** A stream of the external API. */
  #ticks(name: string, ids: boolean) {
    const count = this.#random.int(5, 30)
    const query = asText({ count, ms: this.#random.int(10, 120), ...(ids ? { ids: 1 } : {}) })
    const endpoint = `${this.#apiUrl}/stream/${this.#key}/${name}?${new URLSearchParams(query)}`
    const record: SourceRecord = { name, ...TICK, count, mustComplete: ids }
    return { endpoint, record }
  }

  /** A stream that the worker makes. */
  #flow(name: string | undefined) {
    const count = this.#random.int(3, 12)
    const query = asText({ count, intervalMs: this.#random.int(20, 200) })
    const endpoint = `/api/sse/flow-example?${new URLSearchParams(query)}`
    const record: SourceRecord = { name, type: 'flow_item', seqKey: 'step', count, mustComplete: false }
    return { endpoint, record }
  }
}

function asText(query: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]))
}
