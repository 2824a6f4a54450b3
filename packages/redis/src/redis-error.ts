import { ProblemError } from '@tributary/protocol'
import { tlsFault } from './tls-fault.ts'

/** When to try again what could not be done, in seconds. */
const RETRY_AFTER_S = 5

/** Redis cannot do it now: it is away, starts, fails over, or has no room. `cause` is what was thrown. */
export class RedisUnavailableError extends ProblemError {
  /** Why, for people. */
  readonly reason: string
  /** Whether it was surely not done. Where not, it may have been: the connection ended before the answer. */
  readonly isUnsent: boolean

  constructor(reason: string, options: { isUnsent: boolean; cause?: unknown }) {
    super('store_unavailable', `Redis cannot be used now: ${reason}`, {
      retryAfterS: RETRY_AFTER_S,
      cause: options.cause,
    })
    this.reason = reason
    this.isUnsent = options.isUnsent
  }
}

/**
 * Redis answered with an error that trying again does not cure: a script is wrong, or the user may not do it.
 *
 * It names keys and users, so it is for the log, and no problem that a request is answered with.
 */
export class RedisReplyError extends Error {
  override readonly name = 'RedisReplyError'
  /** The first word of the answer: `WRONGTYPE`, `NOPERM`, `ERR`, or what a script of ours says. */
  readonly kind: string
  /** The whole answer. */
  readonly reply: string

  constructor(reply: string, cause?: unknown) {
    super(`Redis answered: ${reply}`, { cause })
    this.kind = kindOf(reply)
    this.reply = reply
  }
}

/** Why a replica is of no use. */
export const REPLICA = 'the server is a replica, as after a failover'

/** Answers that say that the server refused for now; what was asked was not done. */
const REFUSED_FOR_NOW: Readonly<Record<string, string>> = {
  LOADING: 'it loads its data',
  READONLY: REPLICA,
  MASTERDOWN: 'a replica has lost its master',
  NOREPLICAS: 'too few replicas are connected (min-replicas-to-write)',
  CLUSTERDOWN: 'the Cluster does not serve all slots',
  TRYAGAIN: 'keys are being moved',
  MOVED: 'keys are being moved',
  ASK: 'keys are being moved',
  BUSY: 'it is busy with a script',
  OOM: 'its memory is full: raise maxmemory, or keep less',
  MISCONF: 'it cannot store on its disk, and refuses writes',
  UNBLOCKED: 'the server became a replica',
  NOAUTH: 'it wants a login: set user and password in REDIS_URL',
  WRONGPASS: 'it refuses the login of REDIS_URL',
}

/** Those of a server that can be read from all the same. One that became a replica is left, to find the master. */
const REFUSING_WRITES: ReadonlySet<string> = new Set(['OOM', 'MISCONF', 'NOREPLICAS'])

/** What ioredis says where nothing was sent. */
const UNSENT = /enableOfflineQueue options is false/
/** What it says where the connection ended, or no answer came. */
const LOST =
  /^Connection is closed|max retries per request|^Command timed out|^Command aborted|^Socket timeout/
const LOST_CODES = /^(E[A-Z]+|ERR_(?:TLS|SSL)_.*|CERT_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|UNABLE_TO_.*)$/

/** An error of ioredis as one of ours; what is no fault of Redis stays as it is. `downReason` is why the connection is away. */
export function toRedisError(error: unknown, downReason?: string): unknown {
  if (!(error instanceof Error)) return error
  const { message } = error
  if (error.name === 'ReplyError') {
    const reason = refusalOf(message)
    return reason === undefined
      ? new RedisReplyError(message, error)
      : new RedisUnavailableError(reason, { isUnsent: true, cause: error })
  }
  const isUnsent = UNSENT.test(message)
  if (isUnsent || LOST.test(message) || ('code' in error && LOST_CODES.test(String(error.code)))) {
    const reason = downReason ?? (isUnsent ? 'there is no connection' : reasonOf(error))
    return new RedisUnavailableError(reason, { isUnsent, cause: error })
  }
  // A Cluster says so with the last answer in it.
  if (message.startsWith('Too many Cluster redirections')) {
    return new RedisUnavailableError('keys are being moved', { isUnsent: true, cause: error })
  }
  return error
}

/** Why a server refuses for now, by its answer; undefined where it is another kind of answer. */
export function refusalOf(reply: string): string | undefined {
  const kind = kindOf(reply)
  return Object.hasOwn(REFUSED_FOR_NOW, kind) ? REFUSED_FOR_NOW[kind] : undefined
}

/** The same of one that refuses only what is written; undefined where it is another answer. */
export function refusalOfWrites(reply: string): string | undefined {
  return REFUSING_WRITES.has(kindOf(reply)) ? refusalOf(reply) : undefined
}

/** What went wrong with a connection, for people. Node leaves the message empty where it tried several addresses. */
export function reasonOf(error: Error): string {
  const refusal = refusalOf(error.message)
  if (refusal !== undefined) return refusal
  if (error.message.startsWith('Unknown RESP type')) return 'what answers there is no Redis'
  const fault = tlsFault(error)
  if (fault !== undefined) return fault
  if (error.message !== '') return error.message
  return 'code' in error ? String(error.code) : error.name
}

function kindOf(reply: string): string {
  return /^[A-Z]+(?= |$)/.exec(reply)?.[0] ?? 'ERR'
}
