export { RedisConnectionRegistry, type RedisConnectionRegistryOptions } from './redis-connection-registry.ts'
