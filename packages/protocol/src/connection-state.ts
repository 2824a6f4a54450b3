import Type, { type Static } from 'typebox'

/**
 * What a connection is doing. The first that holds: `disconnecting` it has been told why it ends, and its socket is not
 * closed yet; `stale` what is sent has waited for longer than a heartbeat's time, its peer does not read or is gone;
 * `connecting` it is opened, or catches up; `idle` no event came for longer than two heartbeats' time; `connected`.
 */
export const CONNECTION_STATES = ['connecting', 'connected', 'idle', 'stale', 'disconnecting'] as const
export const ConnectionState = Type.Enum(CONNECTION_STATES, {
  description:
    '`connecting`: it is opened, or catches up. `idle`: no event for two heartbeats. `stale`: what is sent waits for ' +
    'longer than a heartbeat. `disconnecting`: told why it ends, its socket not closed yet.',
})
export type ConnectionState = Static<typeof ConnectionState>

export const ConnectionStates = Type.Object(
  {
    connecting: Type.Integer(),
    connected: Type.Integer(),
    idle: Type.Integer(),
    stale: Type.Integer(),
    disconnecting: Type.Integer(),
  },
  { description: 'How many connections are in each state.' },
)
export type ConnectionStates = Static<typeof ConnectionStates>
