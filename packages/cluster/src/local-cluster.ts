import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '@tributary/protocol'
import { AnnouncedInfo } from './announced-info.ts'
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
} from './cluster.ts'
import { unreachable } from './cluster-answer.ts'
import { ControlHandlers } from './control-handlers.ts'

export interface LocalClusterOptions {
  readonly service: NodeService
  /** Default: random. */
  readonly nodeId?: string
  /** Default: the machine's. */
  readonly clock?: Clock
}

/** One node, which is all there is: nobody else is asked, gone, or can find this one away. */
export class LocalCluster implements Cluster {
  readonly nodeId: string
  readonly #service: NodeService
  readonly #clock: Clock
  readonly #startedAt: number
  readonly #handlers: ControlHandlers
  readonly #announced = new AnnouncedInfo()
  #url: string | undefined

  constructor({ service, nodeId = randomUUID(), clock = systemClock }: LocalClusterOptions) {
    this.nodeId = nodeId
    this.#service = service
    this.#clock = clock
    this.#startedAt = clock.now()
    this.#handlers = new ControlHandlers(nodeId, clock)
  }

  async nodes(service = this.#service): Promise<readonly ClusterNode[]> {
    return service === this.#service ? this.known : []
  }

  get known(): readonly ClusterNode[] {
    return [
      {
        nodeId: this.nodeId,
        service: this.#service,
        ...(this.#url === undefined ? {} : { url: this.#url }),
        startedAt: this.#startedAt,
        seenAt: this.#clock.now(),
        info: this.#announced.value,
      },
    ]
  }

  listensAt(url: string): void {
    this.#url = url
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
    if (nodeId !== this.nodeId) return unreachable(nodeId, NO_SUCH_NODE)
    return this.#handlers.runHere(kind, payload, options.timeoutMs ?? DEFAULT_ASK_TIMEOUT_MS)
  }

  async askAll(
    kind: string,
    payload: unknown,
    options: AskAllOptions = {},
  ): Promise<readonly ClusterAnswer[]> {
    const { service = this.#service } = options
    return service === this.#service ? [await this.ask(this.nodeId, kind, payload, options)] : []
  }

  onNodeGone(): () => void {
    return nothing
  }

  onRejoined(): () => void {
    return nothing
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function nothing(): void {}
