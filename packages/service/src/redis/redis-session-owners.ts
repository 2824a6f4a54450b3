import type { Clock } from '@tributary/protocol'
import { QuickCalls, type RedisConnections } from '@tributary/redis'
import { LRUCache } from 'lru-cache'
import { ANONYMOUS_PREFIX, isReservedUser, type Principal } from '../auth/principal.ts'
import { ownerSeenBy } from '../auth/rights/ownership.ts'
import {
  claimOf,
  othersSession,
  type SessionClaim,
  type SessionOwners,
} from '../auth/rights/session-owners.ts'
import { ServiceKeys } from './redis-keys.ts'
import { CLAIM_SESSION, FORGET_SESSION, USE_SESSION } from './session-scripts.ts'

/** Sessions that are remembered of one user, of all who are anonymous, and at this node. */
const MAX_PER_USER = 100
const MAX_ANONYMOUS = 100_000
const MAX_HERE = 100_000
/** How long this node goes by what it knows of a user's session, in ms. Nobody can take that from him meanwhile. */
const KNOWN_MS = 60_000

export interface RedisSessionOwnersOptions {
  readonly redis: RedisConnections
  /** `REDIS_PREFIX` */
  readonly prefix: string
  readonly clock: Clock
  /** How long a session stays whose it was after its last use, in ms. */
  readonly keepMs: number
  /** Called where an anonymous session becomes that of a user, with what its anonymous user was called. */
  readonly onTaken: (userId: string) => void
  /** Called where a session that this node gave to a user while Redis was away is another's after all. */
  readonly onLost: (sessionId: string, userId: string) => void
}

interface Known {
  readonly userId: string
  readonly claimedAt: number
}

/**
 * Whose sessions are, over all gateways: who names one first has it, in one round trip. While Redis is away what is
 * known here stays in force, and what is named anew is told when it is back: where it is another's then, it is lost.
 */
export class RedisSessionOwners implements SessionOwners, Disposable {
  readonly #options: RedisSessionOwnersOptions
  readonly #keys: ServiceKeys
  readonly #quick: QuickCalls
  readonly #known = new LRUCache<string, Known>({ max: MAX_HERE })
  readonly #untold = new LRUCache<string, Principal>({ max: MAX_HERE })
  readonly #end: () => void

  constructor(options: RedisSessionOwnersOptions) {
    this.#options = options
    const { redis, prefix, clock } = options
    this.#keys = new ServiceKeys(prefix)
    this.#quick = new QuickCalls({ redis, clock })
    this.#end = redis.onUp(() => void this.#tell().catch(() => undefined))
  }

  async claim(sessionId: string, principal: Principal): Promise<void> {
    const known = this.#known.get(sessionId)
    if (known?.userId === principal.userId && this.#isSafe(known)) return
    const shared = await this.#ask(sessionId, principal)
    const [claim, ownerId] = shared ?? [claimOf(known?.userId, principal), known?.userId ?? '']
    if (claim === 'others') throw othersSession(sessionId)
    if (claim === 'let') return
    this.#note(sessionId, principal.userId)
    if (claim === 'taken') this.#options.onTaken(ownerId)
    if (shared === undefined) this.#untold.set(sessionId, principal)
    else this.#use(sessionId, principal.userId)
  }

  [Symbol.dispose](): void {
    this.#end()
  }

  #isSafe({ userId, claimedAt }: Known): boolean {
    return !isReservedUser(userId) && this.#options.clock.elapsed() - claimedAt < KNOWN_MS
  }

  #note(sessionId: string, userId: string): void {
    this.#known.set(sessionId, { userId, claimedAt: this.#options.clock.elapsed() })
  }

  async #ask(sessionId: string, principal: Principal): Promise<[SessionClaim, string] | undefined> {
    return this.#quick.run(CLAIM_SESSION, [this.#keys.session(sessionId)], this.#claimArguments(principal))
  }

  #claimArguments(principal: Principal): (string | number)[] {
    const isAdmin = ownerSeenBy(principal) === undefined
    const may = isAdmin ? 'admin' : principal.method === 'anonymous' ? 'anonymous' : 'user'
    return [principal.userId, may, ANONYMOUS_PREFIX, this.#options.keepMs]
  }

  /** Not awaited: what is too many goes a moment later. */
  #use(sessionId: string, userId: string): void {
    this.#forgetSurplus(sessionId, userId).catch(() => undefined)
  }

  async #forgetSurplus(sessionId: string, userId: string): Promise<void> {
    const isAnonymous = isReservedUser(userId)
    const [key, max] = isAnonymous
      ? [this.#keys.anonymousSessions, MAX_ANONYMOUS]
      : [this.#keys.sessionsOf(userId), MAX_PER_USER]
    const { redis, keepMs } = this.#options
    const surplus = await redis.run(USE_SESSION, [key], [sessionId, max, 2 * KNOWN_MS, keepMs])
    for (const each of surplus) {
      const owner = isAnonymous ? [ANONYMOUS_PREFIX, 0] : [userId, 1]
      await redis.run(FORGET_SESSION, [this.#keys.session(each)], owner)
    }
  }

  /** Tells what was named while Redis was away. What is another's by now is lost. Where Redis goes away again, it is told then. */
  async #tell(): Promise<void> {
    const { redis } = this.#options
    for (const [sessionId, principal] of [...this.#untold.entries()]) {
      // Nobody waits for this: it may take longer, and does not heed that there was no answer a moment ago.
      const keys = [this.#keys.session(sessionId)]
      const [claim] = await redis.run(CLAIM_SESSION, keys, this.#claimArguments(principal), { again: true })
      this.#untold.delete(sessionId)
      if (claim !== 'others') continue
      this.#known.delete(sessionId)
      this.#options.onLost(sessionId, principal.userId)
    }
  }
}
