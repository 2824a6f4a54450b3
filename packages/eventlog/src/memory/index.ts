export {
  DEFAULT_TRIM_INTERVAL_MS,
  MemoryEventStore,
  type MemoryEventStoreOptions,
} from './memory-event-store.ts'
