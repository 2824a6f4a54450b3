import type { Cluster } from '@tributary/cluster'
import type { Clock } from '@tributary/protocol'

/** How long the nodes that are there are taken for such without asking again, in ms. */
const KNOWN_MS = 1_000

/** Which nodes are there. */
export class LivingNodes {
  readonly #cluster: Pick<Cluster, 'nodeId' | 'nodes'>
  readonly #clock: Pick<Clock, 'elapsed'>
  #readAt = Number.NEGATIVE_INFINITY
  #nodes: Promise<ReadonlySet<string>> = Promise.resolve(new Set())

  constructor(cluster: Pick<Cluster, 'nodeId' | 'nodes'>, clock: Pick<Clock, 'elapsed'>) {
    this.#cluster = cluster
    this.#clock = clock
  }

  /** Those of these that are gone; none where that cannot be known. */
  async goneOf(nodeIds: readonly string[]): Promise<readonly string[]> {
    const others = nodeIds.filter((nodeId) => nodeId !== this.#cluster.nodeId)
    if (others.length === 0) return []
    try {
      const living = await this.read()
      return others.filter((nodeId) => !living.has(nodeId))
    } catch {
      return []
    }
  }

  /** @throws as `Cluster.nodes` */
  read(): Promise<ReadonlySet<string>> {
    const now = this.#clock.elapsed()
    if (now - this.#readAt < KNOWN_MS) return this.#nodes
    this.#readAt = now
    this.#nodes = this.#read()
    // One that cannot be read is read again by the next.
    this.#nodes.catch(() => {
      this.#readAt = Number.NEGATIVE_INFINITY
    })
    return this.#nodes
  }

  async #read(): Promise<ReadonlySet<string>> {
    const [gateways, workers] = await Promise.all([
      this.#cluster.nodes('gateway'),
      this.#cluster.nodes('worker'),
    ])
    return new Set([this.#cluster.nodeId, ...[...gateways, ...workers].map(({ nodeId }) => nodeId)])
  }
}
