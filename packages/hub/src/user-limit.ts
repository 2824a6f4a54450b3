import { ProblemError } from '@tributary/protocol'
import type { Connection } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'

/** Connections of one user at a time, unless told otherwise. */
export const DEFAULT_MAX_CONNECTIONS_PER_USER = 5

/** Seconds until a user who has too many should try again. */
const RETRY_AFTER_S = 10

/** What a connection beyond the limit does: it is refused, or the user's oldest ends for it. */
export type ConnectionLimitPolicy = 'reject' | 'replace'

export interface UserLimitOptions {
  /** Connections of one user at a time, those that are being opened included. Default 5; 0 is no limit. */
  readonly maxConnectionsPerUser?: number
  /**
   * What one beyond that does: it is refused as `user_connection_limit`, or the user's oldest is ended as `replaced`.
   * Default `reject`.
   */
  readonly connectionLimitPolicy?: ConnectionLimitPolicy
}

/** Keeps each user to so many connections. */
export class UserLimit {
  readonly max: number
  readonly policy: ConnectionLimitPolicy

  constructor({
    maxConnectionsPerUser = DEFAULT_MAX_CONNECTIONS_PER_USER,
    connectionLimitPolicy = 'reject',
  }: UserLimitOptions) {
    this.max = maxConnectionsPerUser
    this.policy = connectionLimitPolicy
  }

  /**
   * The connections that end for a new one, the oldest first.
   *
   * @param userId whose it is; nobody's has no limit.
   * @param existing the one whose id it takes, which ends anyway.
   * @throws ProblemError `user_connection_limit` where none may end for it.
   */
  displaced(
    userId: string | undefined,
    index: ConnectionIndex,
    existing: Connection | undefined,
  ): readonly Connection[] {
    const ending = existing === undefined ? [] : [existing]
    if (userId === undefined || this.max === 0) return ending
    // In the order in which they came: the index keeps it.
    const others = [...index.ofUser(userId)].filter((connection) => connection !== existing)
    const surplus = others.length + 1 - this.max
    if (surplus <= 0) return ending
    if (this.policy === 'replace') return [...ending, ...others.slice(0, surplus)]
    throw userLimitReached(userId, this.max)
  }
}

export function userLimitReached(userId: string, max: number): ProblemError {
  return new ProblemError(
    'user_connection_limit',
    `The user ${JSON.stringify(userId)} has ${max} connections, and may have no more ` +
      `(MAX_CONNECTIONS_PER_USER); close one, or try again in ${RETRY_AFTER_S} s.`,
    { retryAfterS: RETRY_AFTER_S },
  )
}
