import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastingPort } from '@tributary/testkit'
import { findNginx, NginxProcess } from '../nginx-process.ts'
import { ClusterNode, type NodeSettings } from './cluster-node.ts'
import { RedisServers, type RedisServersOptions } from './redis-servers.ts'

export interface ClusterOptions extends NodeSettings, RedisServersOptions {
  /** How many. Default: two of each. */
  readonly gateways?: number
  readonly workers?: number
  /** Default: where one is installed. */
  readonly nginx?: boolean
  /** Where the nodes' data and logs go. Default: a folder of its own, removed at the end. */
  readonly folder?: string
  /** The port of a node (`gateway-1`) or of `nginx`. Default: one that stays free. */
  readonly portOf?: (name: string) => Promise<number>
  /** Called where a node ends without being asked to, or does not start. */
  readonly onFailure?: (fault: string) => void
}

/** Gateways, and workers. */
export const DEFAULT_NODES = 2

/**
 * Gateways and workers as processes, a real Redis, and a real nginx in front where there is one: what docker-compose.yml
 * has, without Docker. Each node reaches Redis through a network of its own, which can be cut.
 */
export class Cluster implements AsyncDisposable {
  readonly redis: RedisServers
  readonly gateways: readonly ClusterNode[]
  readonly workers: readonly ClusterNode[]
  /** `undefined` where none is installed, or none was wanted. */
  readonly nginx: NginxProcess | undefined
  readonly #owned: AsyncDisposableStack

  private constructor(
    redis: RedisServers,
    gateways: readonly ClusterNode[],
    workers: readonly ClusterNode[],
    nginx: NginxProcess | undefined,
    owned: AsyncDisposableStack,
  ) {
    this.redis = redis
    this.gateways = gateways
    this.workers = workers
    this.nginx = nginx
    this.#owned = owned
  }

  /** Resolves once all nodes listen. @throws Error with what was wrong. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { gateways = DEFAULT_NODES, workers = DEFAULT_NODES, portOf = () => lastingPort() } = options
    await using owned = new AsyncDisposableStack()
    const folder = options.folder ?? (await ownFolder(owned))
    const redis = owned.use(await RedisServers.start(options))
    // What one gateway signs for a reader is for the others, too.
    const env = { AUTH_SESSION_SECRET: randomBytes(32).toString('hex'), ...options.env }
    const failures: string[] = []
    let onFailure = (fault: string): void => void failures.push(fault)
    const prepare = async (service: 'gateway' | 'worker', count: number) => {
      const nodes: ClusterNode[] = []
      for (let number = 1; number <= count; number++) {
        const name = `${service}-${number}`
        const node = await ClusterNode.prepare(service, name, {
          ...options,
          env,
          folder,
          redis,
          port: await portOf(name),
          onFailure: (fault) => onFailure(fault),
        })
        nodes.push(owned.use(node))
      }
      return nodes
    }
    const workerNodes = await prepare('worker', workers)
    const gatewayNodes = await prepare('gateway', gateways)
    await Promise.all([...workerNodes, ...gatewayNodes].map((node) => node.service.start()))
    if (failures.length > 0) throw new Error(failures.join('\n'))
    const nginxPath = options.nginx === false ? undefined : findNginx()
    const nginx =
      nginxPath === undefined
        ? undefined
        : await NginxProcess.start(nginxPath, { gateways: gatewayNodes, port: await portOf('nginx') })
    if (nginx !== undefined) owned.use(nginx)
    if (options.nginx === true && nginx === undefined) throw new Error('there is no nginx; install one')
    onFailure = options.onFailure ?? (() => undefined)
    return new Cluster(redis, gatewayNodes, workerNodes, nginx, owned.move())
  }

  /** Where clients go: nginx, or the first gateway where there is none. */
  get url(): string {
    const url = this.nginx?.url ?? this.gateways[0]?.url
    if (url === undefined) throw new Error('there is no gateway')
    return url
  }

  get nodes(): readonly ClusterNode[] {
    return [...this.gateways, ...this.workers]
  }

  /** Lets all nodes drain and end: the gateways first, so that their runs' workers are still there. */
  async stop(): Promise<void> {
    await Promise.all(this.gateways.map(({ service }) => service.stop()))
    await Promise.all(this.workers.map(({ service }) => service.stop()))
  }

  /** Ends all at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

async function ownFolder(owned: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-cluster-'))
  owned.defer(() => rm(folder, { recursive: true, force: true }))
  return folder
}
