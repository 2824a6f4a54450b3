import { fileURLToPath } from 'node:url'
import type { ScriptedUpstream } from '@tributary/testkit'
import type { TestRedis } from '@tributary/testkit/vitest'
import { type ServiceProcess, startGateway, startWorker } from '../processes.ts'

/** Where gateways find the handler `Ask`. */
const HANDLERS_DIR = fileURLToPath(new URL('../../apps/gateway/test/handlers', import.meta.url))

export interface RelayNodesOptions {
  readonly redis: TestRedis
  /** Who may be relayed. */
  readonly upstream?: ScriptedUpstream
  /** How many. Default: none. */
  readonly workers?: number
  /** Variables of all nodes. */
  readonly env?: Readonly<Record<string, string>>
}

/** Two gateways and some workers as processes, that have one Redis. */
export class RelayNodes implements AsyncDisposable {
  readonly gateways: readonly [ServiceProcess, ServiceProcess]
  readonly workers: readonly ServiceProcess[]
  readonly #env: Readonly<Record<string, string>>
  readonly #owned: AsyncDisposableStack

  private constructor(
    gateways: readonly [ServiceProcess, ServiceProcess],
    workers: readonly ServiceProcess[],
    env: Readonly<Record<string, string>>,
    owned: AsyncDisposableStack,
  ) {
    this.gateways = gateways
    this.workers = workers
    this.#env = env
    this.#owned = owned
  }

  static async start({ redis, upstream, workers = 0, env }: RelayNodesOptions): Promise<RelayNodes> {
    await using owned = new AsyncDisposableStack()
    const shared = {
      REDIS_URL: redis.url,
      REDIS_PREFIX: redis.prefix(),
      NODE_LEASE_MS: '3000',
      OUTBOUND_ALLOW: '127.0.0.1',
      ...env,
    }
    const killed = (service: ServiceProcess) => {
      owned.defer(() => service.kill())
      return service
    }
    const started = await Promise.all(
      Array.from({ length: workers }, async () => killed(await startWorker({ env: shared }))),
    )
    const gateway = async () =>
      killed(
        await startGateway({
          ...(workers === 0 ? {} : { workers: started }),
          env: { ...shared, HANDLERS_DIR, ...(upstream && { RELAY_ALLOWED_ORIGINS: upstream.url }) },
        }),
      )
    const gateways = await Promise.all([gateway(), gateway()])
    return new RelayNodes(gateways, started, shared, owned.move())
  }

  /** Starts one more worker, which no gateway has in its configuration. */
  async addWorker(): Promise<ServiceProcess> {
    const worker = await startWorker({ env: this.#env })
    this.#owned.defer(() => worker.kill())
    return worker
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

/** Holds a process where it is, as a machine does that stands still. */
export function freeze({ pid }: ServiceProcess): Disposable {
  process.kill(Number(pid), 'SIGSTOP')
  return { [Symbol.dispose]: () => void process.kill(Number(pid), 'SIGCONT') }
}
