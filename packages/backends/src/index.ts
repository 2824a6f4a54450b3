export type { Backends, BackendsConfig, BackendsOptions, SharedRedis } from './backends.ts'
export { openBackends } from './open-backends.ts'
export { untilRedisStays } from './until-redis-stays.ts'
