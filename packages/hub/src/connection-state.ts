import type { ConnectionState } from '@tributary/protocol'
import type { LogStream } from '@tributary/sse'

/** After how many heartbeats without an event a connection is `idle`: its reader is there, and nothing is for it. */
export const IDLE_HEARTBEATS = 2

/** What a connection's state is judged by; the same for all of a hub. */
export interface StateTimes {
  /** Milliseconds since 1970. */
  now(): number
  readonly heartbeatMs: number
}

/** Of who is no connection: whose state nobody asks for. */
export const NO_TIMES: StateTimes = { now: () => 0, heartbeatMs: 0 }

/** What a connection is doing, worked out when somebody asks. @param stream `undefined` while it is being opened. */
export function connectionState(
  stream: LogStream | undefined,
  { now, heartbeatMs }: StateTimes,
): ConnectionState {
  if (stream === undefined) return 'connecting'
  const { ended, stalledSince, lastSentAt } = stream.stream
  if (ended) return 'disconnecting'
  if (stalledSince !== undefined && now() - stalledSince > heartbeatMs) return 'stale'
  if (!stream.live) return 'connecting'
  return now() - lastSentAt > IDLE_HEARTBEATS * heartbeatMs ? 'idle' : 'connected'
}
