export {
  DEFAULT_LOCK_WAIT_MS,
  type Synchronous,
} from './database-file.ts'
export { SqliteEventStore } from './sqlite-event-store.ts'
export {
  DEFAULT_TAIL_MAX_BYTES,
  DEFAULT_TAIL_MAX_EVENTS,
  DEFAULT_TRIM_INTERVAL_MS,
  type SqliteEventStoreOptions,
} from './sqlite-event-store-options.ts'
export { StoreOpenError } from './store-open-error.ts'
