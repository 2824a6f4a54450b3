import { join } from 'node:path'
import { startGateway, startWorker } from '../processes.ts'
import { RedisNetwork, type RedisPlaces } from './redis-network.ts'
import { RestartedService } from './restarted-service.ts'

/** What all nodes of a cluster have in common. */
export interface NodeSettings {
  /** Variables of all nodes, beside those that make them a cluster. */
  readonly env?: Readonly<Record<string, string>>
  /** Of the gateways alone. Read at each start. */
  readonly gatewayEnv?: () => Readonly<Record<string, string>>
  /** Called with each line that a node writes. */
  readonly onLine?: (name: string, line: string) => void
  /** After how long a node that ends by itself is started again. Default: never. */
  readonly comeBackMs?: number
}

interface ClusterNodeOptions extends NodeSettings {
  readonly folder: string
  readonly port: number
  readonly redis: RedisPlaces
  onFailure(fault: string): void
}

/** What makes a process a node of a cluster. */
export function nodeEnv({ url, redisUrl }: { readonly url: string; readonly redisUrl: string }) {
  return { REDIS_URL: redisUrl, REDIS_PREFIX: 'tributary', NODE_URL: url }
}

/** A gateway or a worker of a cluster, and its network to Redis. */
export class ClusterNode implements AsyncDisposable {
  readonly kind: 'gateway' | 'worker'
  /** As `gateway-1`. */
  readonly name: string
  readonly url: string
  readonly service: RestartedService
  readonly network: RedisNetwork

  private constructor(
    kind: 'gateway' | 'worker',
    url: string,
    service: RestartedService,
    network: RedisNetwork,
  ) {
    this.kind = kind
    this.name = service.name
    this.url = url
    this.service = service
    this.network = network
  }

  /** Makes what it needs; `service.start()` starts it. */
  static async prepare(
    kind: 'gateway' | 'worker',
    name: string,
    options: ClusterNodeOptions,
  ): Promise<ClusterNode> {
    const { folder, port, redis, env, gatewayEnv, onLine, onFailure, comeBackMs } = options
    const network = await RedisNetwork.start(redis)
    const url = `http://127.0.0.1:${port}`
    const process = (cwd: string, own: Readonly<Record<string, string>> = {}) => ({
      cwd,
      port,
      env: { ...nodeEnv({ url, redisUrl: network.url }), ...env, ...own },
      onLine: (line: string) => onLine?.(name, line),
    })
    const start =
      kind === 'gateway'
        ? (cwd: string) => startGateway(process(cwd, gatewayEnv?.()))
        : (cwd: string) => startWorker(process(cwd))
    const service = new RestartedService({
      name,
      folder: join(folder, name),
      logFolder: join(folder, 'logs'),
      start,
      onFailure,
      ...(comeBackMs === undefined ? {} : { comeBackMs }),
    })
    return new ClusterNode(kind, url, service, network)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]()
    await this.network[Symbol.asyncDispose]()
  }
}
