export { DEFAULT_MAX_RETRY_MS, DEFAULT_RETRY_MS } from './backoff.ts'
export { EventSource, type EventSourceEventMap, type EventSourceInit } from './event-source.ts'
export {
  type Fetch,
  type FetchAnswer,
  type OpenStream,
  type OpenStreamOptions,
  openStream,
  type StreamPart,
} from './open-stream.ts'
export { type ReadStreamOptions, readStream, readStreamBatches } from './read-stream.ts'
export type { RequestHeaders } from './request-headers.ts'
export { StreamError, type StreamErrorReason } from './stream-error.ts'
export { StreamErrorEvent } from './stream-error-event.ts'
export type { TokenSupplier } from './token-supplier.ts'
export type { HeartbeatInterval } from './watchdog.ts'
