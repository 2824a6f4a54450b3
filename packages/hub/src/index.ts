export type { Connection, ConnectionRights, ConnectOptions } from './connection.ts'
export type { ConnectionObserver } from './connection-observer.ts'
export type { ConnectionPage, ConnectionQuery } from './connection-page.ts'
export { IDLE_HEARTBEATS } from './connection-state.ts'
export {
  DEFAULT_HISTORY_MAX_AGE_MS,
  DEFAULT_HISTORY_MAX_EVENTS,
  DEFAULT_HISTORY_USER_MAX_AGE_MS,
  type HistoryClass,
  type HistoryOptions,
} from './history-retention.ts'
export { Hub } from './hub.ts'
export type { HubMeter } from './hub-meter.ts'
export type { CloseReceipt } from './hub-nodes.ts'
export {
  DEFAULT_MAX_EVENT_BYTES,
  DEFAULT_NAMESPACE,
  DEFAULT_PRESENCE_GRACE_MS,
  DEFAULT_STREAM_MAX_TIMEOUT_MS,
  DEFAULT_STREAM_TIMEOUT_MS,
  type HubOptions,
  type HubStats,
  type SendOptions,
} from './hub-options.ts'
export type { PollOptions } from './hub-polls.ts'
export type { LocalHub } from './local-hub.ts'
export type { SendReceipt } from './publisher.ts'
export type { Reconciled } from './registrations.ts'
export type {
  Announcement,
  ConnectionEntry,
  ConnectionRegistry,
  PresenceRules,
} from './registry/connection-registry.ts'
export { LocalConnectionRegistry } from './registry/local-connection-registry.ts'
export { DEFAULT_IDEMPOTENCY_WINDOW_MS, type SendOnce } from './send-once.ts'
export {
  type ConnectionLimitPolicy,
  DEFAULT_MAX_CONNECTIONS_PER_USER,
  type UserLimitOptions,
} from './user-limit.ts'
export { problemResponse, respondWithPage, respondWithStream } from './web.ts'
