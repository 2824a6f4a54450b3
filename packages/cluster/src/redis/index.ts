export { DEFAULT_LEASE_MS, RedisCluster, type RedisClusterOptions } from './redis-cluster.ts'
