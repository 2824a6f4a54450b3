import Type, { type Static } from 'typebox'

/** Frames for one connection. They take no number, are not stored, and no `?events=` filters them. */
export const CONTROL_EVENTS = [
  'connection',
  'gap',
  'heartbeat',
  'auth_expiring',
  'disconnected',
  'source_unavailable',
] as const
export type ControlEvent = (typeof CONTROL_EVENTS)[number]

export function isControlEvent(type: string): type is ControlEvent {
  return (CONTROL_EVENTS as readonly string[]).includes(type)
}

/** The first event of every stream. */
export const ConnectionData = Type.Object({
  status: Type.Literal('connected'),
  emitterId: Type.String({ description: 'The id of the connection.' }),
  clientId: Type.String({ description: 'The same.' }),
  runId: Type.Optional(Type.String()),
  resumed: Type.Boolean({ description: 'Whether the reader came with a cursor.' }),
})
export type ConnectionData = Static<typeof ConnectionData>

export const GapReason = Type.Enum(['expired', 'log_lost', 'ahead', 'overflow'])
export type GapReason = Static<typeof GapReason>

/** Events that this reader will not get, said in place of them. */
export const GapData = Type.Object({
  from: Type.String({ description: 'The cursor that the reader had.' }),
  to: Type.String({
    description:
      'Up to where events may be missing. Delivery goes on at the id of the frame: here or earlier.',
  }),
  reason: GapReason,
})
export type GapData = Static<typeof GapData>

export const HeartbeatData = Type.Object({
  timestamp: Type.Number({ description: 'Milliseconds since 1970.' }),
})
export type HeartbeatData = Static<typeof HeartbeatData>

/** The token that the stream was opened with, or was last refreshed with, is about to end, and the stream with it. */
export const AuthExpiringData = Type.Object({
  expiresAt: Type.Number({ description: 'Milliseconds since 1970.' }),
})
export type AuthExpiringData = Static<typeof AuthExpiringData>

export const DisconnectReason = Type.Enum([
  'timeout',
  'drain',
  'slow_consumer',
  'replaced',
  'token_expired',
  'forced',
  'complete',
  'busy',
  'upstream_lost',
])
export type DisconnectReason = Static<typeof DisconnectReason>

/** Said before the server ends a stream. */
export const DisconnectedData = Type.Object({
  reason: DisconnectReason,
  reconnect: Type.Boolean({ description: 'False: the next attempt of this session is answered 204.' }),
  message: Type.Optional(Type.String({ description: 'What whoever closed it had to say.' })),
})
export type DisconnectedData = Static<typeof DisconnectedData>

/** Whether a reader is meant to come back after a stream ended for this reason. */
export const RECONNECTS: Readonly<Record<DisconnectReason, boolean>> = {
  timeout: true,
  drain: true,
  slow_consumer: true,
  replaced: false,
  token_expired: true,
  forced: false,
  complete: false,
  busy: true,
  upstream_lost: true,
}

/** The `retry:` of a final `disconnected`: as good as never, for an EventSource knows no "stop" in band. */
export const NEVER_RETRY_MS = 86_400_000

/**
 * What the `id:` of a `disconnected` ends in after which no reader is to come back by itself. One that does so all
 * the same says it in its `Last-Event-ID`, and is answered 204: the one word on which an EventSource stops.
 */
export const CLOSED_MARK = '.closed'

/** An upstream of a run is away and is being waited for. */
export const SourceUnavailableData = Type.Object({
  source: Type.String(),
  since: Type.Number({ description: 'Milliseconds since 1970.' }),
  retryable: Type.Literal(true),
})
export type SourceUnavailableData = Static<typeof SourceUnavailableData>
