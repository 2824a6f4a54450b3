export { type OpenRedisOptions, openRedis, type RedisConfig } from './open-redis.ts'
export { RedisRateStore } from './redis-rate-store.ts'
export { RedisRevocationStore } from './redis-revocation-store.ts'
export { RedisSessionOwners } from './redis-session-owners.ts'
