export {
  type CollectedEvent,
  type CollectorInit,
  EventCollector,
} from './event-collector.ts'
export { allDataOf, dataOf } from './event-data.ts'
export { FakeClock } from './fake-clock.ts'
export { findProgram, isExecutable } from './find-program.ts'
export { isFreePort, lastingPort } from './lasting-port.ts'
export { serveDns } from './local-dns.ts'
export { documentedUser } from './redis/documented-user.ts'
export { findRedis } from './redis/find-redis.ts'
export { GuardedProcess } from './redis/guarded-process.ts'
export { type RedisClusterServers, startRedisCluster } from './redis/redis-cluster.ts'
export { type RedisServer, startRedis } from './redis/redis-server.ts'
export { type RedisWithSentinel, startRedisWithSentinel } from './redis/redis-with-sentinel.ts'
export { until } from './redis/until.ts'
export { ScriptedUpstream } from './scripted-upstream.ts'
export { SELF_SIGNED } from './self-signed.ts'
export { TcpProxy } from './tcp-proxy.ts'
export { untrueAnswers } from './untrue-answers.ts'
export { steps } from './upstream-step.ts'
