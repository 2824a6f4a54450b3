import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import { AnnouncedInfo } from '../announced-info.ts'
import {
  type AskAllOptions,
  type AskOptions,
  type Cluster,
  type ClusterAnswer,
  type ClusterNode,
  type ControlHandler,
  DEFAULT_ASK_TIMEOUT_MS,
  NO_SUCH_NODE,
  type NodeService,
} from '../cluster.ts'
import { unreachable } from '../cluster-answer.ts'
import { type AskOutcome, type ClusterMeter, NO_CLUSTER_METER } from '../cluster-meter.ts'
import { ControlHandlers } from '../control-handlers.ts'
import { encodeControl } from '../control-message.ts'
import { NODES, SETTLE } from './cluster-scripts.ts'
import { ControlChannel } from './control-channel.ts'
import { GoneClaims } from './gone-claims.ts'
import { Lease } from './lease.ts'
import { nodesIn } from './node-record.ts'
import { clusterKeys } from './redis-keys.ts'
import { RedisTime } from './redis-time.ts'

export const DEFAULT_LEASE_MS = 10_000

export interface RedisClusterOptions {
  readonly redis: RedisConnections
  /** What all names in Redis begin with: nodes of the same prefix serve together. */
  readonly prefix: string
  readonly service: NodeService
  /** How long after its last heartbeat a node counts as gone, in ms. Default 10,000. */
  readonly leaseMs?: number
  /** Default: random. */
  readonly nodeId?: string
  /** Default: the machine's. Only durations are measured by it: what it says of the time changes nothing. */
  readonly clock?: Clock
  readonly meter?: ClusterMeter
  /** What fails in the background: a heartbeat, a listener. Default: nobody is told. */
  readonly onError?: (error: unknown) => void
}

/**
 * The nodes that share a Redis. Leases are by its clock; requests go by pub/sub, and are lost where the other cannot be
 * reached: who asked is told so. While Redis is away nobody is taken for gone.
 */
export class RedisCluster implements Cluster {
  readonly nodeId: string
  readonly #options: RedisClusterOptions
  readonly #keys: ReturnType<typeof clusterKeys>
  readonly #meter: ClusterMeter
  readonly #announced = new AnnouncedInfo()
  readonly #handlers: ControlHandlers
  readonly #channel: ControlChannel
  readonly #claims: GoneClaims
  readonly #lease: Lease
  readonly #rejoinListeners = new Set<() => Promise<void>>()
  #url: string | undefined
  // As they were last read, for when they cannot be.
  #known: readonly ClusterNode[] = []
  #closed: Promise<void> | undefined

  private constructor(options: RedisClusterOptions) {
    const { redis, service, leaseMs = DEFAULT_LEASE_MS, clock = systemClock, onError = () => {} } = options
    const nodeId = options.nodeId ?? randomUUID()
    const keys = clusterKeys(options.prefix)
    const meter = options.meter ?? NO_CLUSTER_METER
    const time = new RedisTime(clock)
    this.nodeId = nodeId
    this.#options = options
    this.#keys = keys
    this.#meter = meter
    this.#handlers = new ControlHandlers(nodeId, clock)
    this.#claims = new GoneClaims({ settle: (gone) => this.#settle(gone), onError })
    this.#lease = new Lease({
      ...{ nodeId, leaseMs, redis, keys, time, clock, meter, onError },
      claims: this.#claims,
      record: () => ({
        service,
        ...(this.#url === undefined ? {} : { url: this.#url }),
        info: this.#announced.value,
      }),
      // So that they are known when they cannot be asked for.
      onRenewed: () => void this.nodes().catch(onError),
      onRejoined: () => this.#rejoined(),
    })
    this.#channel = new ControlChannel({
      ...{ nodeId, service, redis, keys, time, clock, onError },
      handlers: this.#handlers,
      onLeft: () => this.#lease.beatSoon(),
    })
  }

  /** Takes a lease, and resolves once others can ask this node. @throws as Redis */
  static async open(options: RedisClusterOptions): Promise<RedisCluster> {
    const cluster = new RedisCluster(options)
    try {
      await cluster.#channel.ready()
      await cluster.#lease.begin()
      return cluster
    } catch (error) {
      cluster.#channel.close()
      throw error
    }
  }

  async nodes(service?: NodeService): Promise<readonly ClusterNode[]> {
    const { redis } = this.#options
    const { leases, nodes } = this.#keys
    this.#known = nodesIn(await redis.run(NODES, [leases, nodes], []))
    return ofService(this.#known, service)
  }

  get known(): readonly ClusterNode[] {
    return this.#known
  }

  listensAt(url: string): void {
    this.#url = url
    this.#lease.beatSoon()
  }

  announce(info: Readonly<Record<string, unknown>>): void {
    this.#announced.set(info)
  }

  handle(kind: string, handler: ControlHandler): () => void {
    return this.#handlers.add(kind, handler)
  }

  async ask(
    nodeId: string,
    kind: string,
    payload: unknown,
    options: AskOptions = {},
  ): Promise<ClusterAnswer> {
    const { timeoutMs = DEFAULT_ASK_TIMEOUT_MS } = options
    encodeControl(payload)
    const answer = await this.#ask(nodeId, kind, payload, timeoutMs)
    this.#meter.asked(outcomeOf(answer))
    return answer
  }

  async askAll(
    kind: string,
    payload: unknown,
    options: AskAllOptions = {},
  ): Promise<readonly ClusterAnswer[]> {
    const { timeoutMs = DEFAULT_ASK_TIMEOUT_MS, service } = options
    encodeControl(payload)
    const isForThis = service === undefined || service === this.#options.service
    const answers = await Promise.all([
      isForThis ? this.#handlers.runHere(kind, payload, timeoutMs).then((answer) => [answer]) : [],
      this.#askOthers(kind, payload, { timeoutMs, service }),
    ])
    for (const answer of answers.flat()) this.#meter.asked(outcomeOf(answer))
    return answers.flat()
  }

  onNodeGone(listener: (node: ClusterNode) => Promise<void>): () => void {
    return this.#claims.listen(listener)
  }

  onRejoined(listener: () => Promise<void>): () => void {
    this.#rejoinListeners.add(listener)
    return () => this.#rejoinListeners.delete(listener)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #ask(nodeId: string, kind: string, payload: unknown, timeoutMs: number): Promise<ClusterAnswer> {
    if (nodeId === this.nodeId) return this.#handlers.runHere(kind, payload, timeoutMs)
    try {
      const nodes = await this.nodes()
      if (!nodes.some((node) => node.nodeId === nodeId)) return unreachable(nodeId, NO_SUCH_NODE)
    } catch (error) {
      return unreachable(nodeId, error)
    }
    return this.#channel.ask(nodeId, kind, payload, timeoutMs)
  }

  async #askOthers(
    kind: string,
    payload: unknown,
    options: { readonly timeoutMs: number; readonly service: NodeService | undefined },
  ): Promise<readonly ClusterAnswer[]> {
    const others = (nodes: readonly ClusterNode[]) =>
      ofService(nodes, options.service).filter(({ nodeId }) => nodeId !== this.nodeId)
    try {
      const asked = others(await this.nodes()).map(({ nodeId }) => nodeId)
      return await this.#channel.askOthers(asked, kind, payload, options)
    } catch (error) {
      return others(this.#known).map(({ nodeId }) => unreachable(nodeId, error))
    }
  }

  async #settle(gone: string): Promise<void> {
    const { redis, service } = this.#options
    const { nodes, goneGateway, goneWorker, claims } = this.#keys
    const both = service === 'gateway' ? [goneGateway, goneWorker] : [goneWorker, goneGateway]
    await redis.run(SETTLE, [nodes, ...both, claims], [this.nodeId, service, gone], { again: true })
  }

  async #rejoined(): Promise<void> {
    const results = await Promise.allSettled([...this.#rejoinListeners].map(async (listener) => listener()))
    const faults = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason)
    if (faults.length > 0) throw new AggregateError(faults, 'not all could be registered again')
  }

  async #close(): Promise<void> {
    const { onError = () => {} } = this.#options
    try {
      await this.#lease.end()
      await this.#channel.left()
    } catch (error) {
      // Then the others find out by the lease.
      onError(error)
    }
    this.#channel.close()
  }
}

function ofService(nodes: readonly ClusterNode[], service: NodeService | undefined): readonly ClusterNode[] {
  return service === undefined ? nodes : nodes.filter((node) => node.service === service)
}

function outcomeOf(answer: ClusterAnswer): AskOutcome {
  return answer.ok ? 'ok' : answer.reason
}
