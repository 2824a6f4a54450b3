export {
  type Append,
  DEFAULT_PAGE_LIMIT,
  type EventLog,
  type EventStore,
  LogClosedError,
  type LogEntry,
  type OpenOptions,
  type Page,
  type ReadableLog,
  type ReadOptions,
  type Retention,
  type StartingPoint,
} from './event-log.ts'
export { MirrorLog, type MirrorLogOptions } from './mirror-log.ts'
export { StoredEvent } from './stored-event.ts'
