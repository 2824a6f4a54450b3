import type { RedisClient } from './connection-options.ts'

/** Which of a process' connections: the one for commands, those that subscribe, those that wait at the server. */
export type ConnectionKind = 'commands' | 'subscriber' | 'blocking'

/** Counts what connections do. */
export interface RedisMeter {
  /** One of these was made anew, and can be used. */
  reconnected(kind: ConnectionKind): void
  /** A call was answered after so long, in ms; an attempt that failed is none. */
  answered(tookMs: number): void
}

export const NO_REDIS_METER: RedisMeter = {
  reconnected() {},
  answered() {},
}

/** The same client, whose reconnects are counted. */
export function counted<T extends RedisClient>(client: T, kind: ConnectionKind, meter: RedisMeter): T {
  let wasReady = false
  client.on('ready', () => {
    if (wasReady) meter.reconnected(kind)
    wasReady = true
  })
  return client
}
