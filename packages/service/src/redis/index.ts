export { RedisRateStore } from './redis-rate-store.ts'
