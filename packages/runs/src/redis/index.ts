export { RedisRunIndex, type RedisRunIndexOptions } from './redis-run-index.ts'
