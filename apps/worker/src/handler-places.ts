import type { Cluster, ClusterNode } from '@tributary/cluster'
import { WorkerInfo } from '@tributary/protocol'
import { Compile } from 'typebox/compile'

const workerInfo = Compile(WorkerInfo)

/** Which workers of the cluster have which registered tasks. */
export class HandlerPlaces {
  readonly #cluster: Pick<Cluster, 'nodes'>

  constructor(cluster: Pick<Cluster, 'nodes'>) {
    this.#cluster = cluster
  }

  /** Whether all workers have all of these: then any of them may run what names them. Not where that cannot be known. */
  async areEverywhere(names: readonly string[]): Promise<boolean> {
    if (names.length === 0) return true
    const workers = await this.#cluster.nodes('worker').catch(() => undefined)
    return workers?.every((worker) => hasAll(worker, names)) ?? false
  }

  /** Whether some worker has all of these. */
  async areSomewhere(names: readonly string[]): Promise<boolean> {
    const workers = await this.#cluster.nodes('worker').catch(() => undefined)
    return workers?.some((worker) => hasAll(worker, names)) ?? false
  }
}

function hasAll({ info }: ClusterNode, names: readonly string[]): boolean {
  if (!workerInfo.Check(info)) return false
  const { handlers, simulates } = info
  return simulates || (handlers !== undefined && names.every((name) => handlers.includes(name)))
}
