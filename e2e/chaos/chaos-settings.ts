/** How often streams get a heartbeat here, in ms. */
export const HEARTBEAT_MS = 500

/** Small times, so that a round sees rotations and heartbeats; and history enough that a gap is due to nobody. */
export const ENV = {
  STORE: 'sqlite',
  RETRY_MS: '100',
  HEARTBEAT_MS: String(HEARTBEAT_MS),
  STREAM_TIMEOUT_MS: '3000',
  DRAIN_MS: '2000',
  MAX_CONNECTIONS_PER_USER: '1000',
  AUTH_STATIC_TOKENS: 'admin-token=operator:admin;ann-token=ann;ben-token=ben;cem-token=cem',
  OUTBOUND_ALLOW: '127.0.0.1',
  HISTORY_MAX_AGE_MS: '86400000',
  UPSTREAM_GIVE_UP_MS: '60000',
}

/** Events that are kept of a topic: so many that nobody is due a gap, or so few that whoever is away for a second is. */
export const HISTORY_MAX_EVENTS = { long: '1000000', short: '10' } as const
export type History = keyof typeof HISTORY_MAX_EVENTS

export const ADMIN_TOKEN = 'admin-token'
/** Who reads, and in which groups: the first of them in the first group, the next in two. */
export const USERS = ['ann', 'ben', 'cem'] as const
export const GROUPS = ['red', 'green', 'blue'] as const
/** Whom is published for; a user and a group without readers are among them. */
export const TOPICS = [
  'all',
  'user:ann',
  'user:ben',
  'user:dan',
  'group:red',
  'group:green',
  'group:grey',
] as const
