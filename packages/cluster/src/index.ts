export type {
  AskAllOptions,
  AskOptions,
  Cluster,
  ClusterAnswer,
  ClusterNode,
  ControlHandler,
  NodeService,
} from './cluster.ts'
export { LocalCluster, type LocalClusterOptions } from './local-cluster.ts'
