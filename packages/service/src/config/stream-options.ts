/** What a configuration says of the streams of a service. */
export interface StreamConfig {
  readonly AUTH_EXPIRY_WARNING_MS: number
  readonly HEARTBEAT_MS: number
  readonly RETRY_MS: number
  readonly OUTBOX_MAX_BYTES: number
  readonly OUTBOX_MAX_EVENTS: number
  readonly MAX_CONNECTIONS: number
}

/** How a service serves its streams, as a `StreamServer` takes it. */
export function streamOptionsOf(config: StreamConfig) {
  return {
    expiryWarningMs: config.AUTH_EXPIRY_WARNING_MS,
    heartbeatMs: config.HEARTBEAT_MS,
    retryMs: config.RETRY_MS,
    outboxMaxBytes: config.OUTBOX_MAX_BYTES,
    outboxMaxEvents: config.OUTBOX_MAX_EVENTS,
    maxStreams: config.MAX_CONNECTIONS,
  }
}

/** What a configuration says of how long streams last. */
export interface StreamTimesConfig {
  readonly STREAM_TIMEOUT_MS: number
  readonly STREAM_MAX_TIMEOUT_MS: number
}

/** How long streams last, and what they may ask for, as whatever opens them takes it. */
export function streamTimesOf(config: StreamTimesConfig) {
  return { timeoutMs: config.STREAM_TIMEOUT_MS, maxTimeoutMs: config.STREAM_MAX_TIMEOUT_MS }
}
