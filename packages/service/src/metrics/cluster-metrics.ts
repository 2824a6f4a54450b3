import type { Metrics } from './metrics.ts'
import { Tally } from './tally.ts'

/** Counts what this process does as a node of a cluster. */
export class ClusterMetrics {
  readonly #heartbeats = new Tally('outcome')
  readonly #requests = new Tally('outcome')
  #leasesLost = 0

  constructor(metrics: Metrics) {
    metrics.counter(
      {
        name: 'tributary_cluster_heartbeats_total',
        help: 'Renewals of this node’s lease, by outcome: renewed, or failed as Redis was away',
        labels: ['outcome'],
      },
      () => this.#heartbeats.samples(),
    )
    metrics.counter(
      {
        name: 'tributary_cluster_leases_lost_total',
        help: 'Times that this node’s lease had ended, and it came back',
      },
      () => this.#leasesLost,
    )
    metrics.counter(
      {
        name: 'tributary_cluster_requests_total',
        help: 'Requests of this node to nodes, itself included, by outcome: ok, failed or unreachable',
        labels: ['outcome'],
      },
      () => this.#requests.samples(),
    )
  }

  /** Adds the nodes that are there, by service. None are told of while they cannot be asked for. */
  addNodes(metrics: Metrics, nodes: () => Promise<readonly { readonly service: string }[]>): void {
    metrics.gauge(
      { name: 'tributary_cluster_nodes', help: 'Nodes that are there, by service', labels: ['service'] },
      async () => {
        const found = new Tally('service')
        for (const { service } of await nodes().catch(() => [])) found.add(service)
        return found.samples()
      },
    )
  }

  heartbeat(outcome: 'renewed' | 'failed'): void {
    this.#heartbeats.add(outcome)
  }

  leaseLost(): void {
    this.#leasesLost += 1
  }

  asked(outcome: 'ok' | 'failed' | 'unreachable'): void {
    this.#requests.add(outcome)
  }
}
