export { RedisEventStore } from './redis-event-store.ts'
export {
  DEFAULT_RETRY_MS,
  DEFAULT_SYNC_INTERVAL_MS,
  DEFAULT_TRIM_INTERVAL_MS,
  type RedisEventStoreOptions,
} from './redis-event-store-options.ts'
