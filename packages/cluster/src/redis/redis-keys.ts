/** The names of all that a cluster keeps in Redis: in one slot of a Redis Cluster, since scripts touch them together. */
export interface ClusterKeys {
  readonly leases: string
  readonly nodes: string
  readonly goneGateway: string
  readonly goneWorker: string
  readonly claims: string
  /** The time of the last heartbeat. */
  readonly beatAt: string
  /** What all nodes listen to. */
  readonly everyChannel: string
  /** What one node listens to. */
  nodeChannel(nodeId: string): string
}

export function clusterKeys(prefix: string): ClusterKeys {
  const tag = `${prefix}:{cluster}`
  return {
    leases: `${tag}:leases`,
    nodes: `${tag}:nodes`,
    goneGateway: `${tag}:gone:gateway`,
    goneWorker: `${tag}:gone:worker`,
    claims: `${tag}:claims`,
    beatAt: `${tag}:beat-at`,
    everyChannel: `${tag}:every`,
    nodeChannel: (nodeId) => `${tag}:node:${nodeId}`,
  }
}
