export type {
  AskAllOptions,
  AskOptions,
  Cluster,
  ClusterAnswer,
  ClusterNode,
  ControlHandler,
  NodeService,
} from './cluster.ts'
export type { AskOutcome, ClusterMeter } from './cluster-meter.ts'
export { LocalCluster, type LocalClusterOptions } from './local-cluster.ts'
