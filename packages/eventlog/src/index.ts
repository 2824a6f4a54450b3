export type { EphemeralEvent, Telling, Told } from './ephemeral-event.ts'
export {
  type Append,
  type AppendOptions,
  type BridgeOptions,
  DEFAULT_PAGE_LIMIT,
  type EventLog,
  type EventStore,
  type ListOptions,
  type LogEntry,
  type LogRange,
  type LogSummary,
  type OnceAnswer,
  type OnceKey,
  type OpenOptions,
  type Page,
  type ReadableLog,
  type ReadOptions,
  type Retention,
  type StartingPoint,
  type StoreHealth,
} from './event-log.ts'
export { type Following, NOTHING_TO_FOLLOW } from './following.ts'
export {
  LogClosedError,
  LogMissingError,
  OnceConflictError,
  StaleEpochError,
  StoreUnavailableError,
} from './log-error.ts'
export { MirrorLog, type MirrorLogOptions } from './mirror-log.ts'
export { StoredEvent } from './stored-event.ts'
