import type { EventLog, EventStore } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'
import {
  claimOf,
  isReservedUser,
  othersSession,
  type Principal,
  type SessionOwners,
} from '@tributary/service'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'

/** The log whose attributes say whose a session is. It holds no events. */
const LOG = 'sessions'
/** Sessions that are remembered of one user, and of all; past it his least recently used is forgotten, or of all an anonymous one before any other. */
const MAX_PER_USER = 100
const MAX_SESSIONS = 100_000
/** How far the stored time of use may be behind, so that not each connect is stored. */
const STORE_EVERY_MS = 3_600_000

const Owner = Type.Object({ userId: Type.String(), usedAt: Type.Number() })
type Owner = Static<typeof Owner>
const ownerCheck = Compile(Owner)

export interface LocalSessionOwnersOptions {
  readonly store: EventStore
  readonly clock: Pick<Clock, 'now'>
  /** How long a session stays whose it was after its last use, in ms. As long as anything of it can still be read. */
  readonly keepMs: number
  /** Called where an anonymous session becomes that of a user, with what its anonymous user was called. */
  readonly onTaken: (userId: string) => void
}

/** Knows whose the sessions of this gateway are, and keeps that with a log of its store. */
export class LocalSessionOwners implements SessionOwners {
  readonly #options: LocalSessionOwnersOptions
  readonly #log: EventLog
  // The least recently used first, of all and of each user.
  readonly #owners = new Map<string, Owner>()
  readonly #byUser = new Map<string, Set<string>>()
  // The anonymous among them: who needs no token pushes nobody out who has one.
  readonly #anonymous = new Set<string>()

  private constructor(options: LocalSessionOwnersOptions, log: EventLog) {
    this.#options = options
    this.#log = log
  }

  static async open(options: LocalSessionOwnersOptions): Promise<LocalSessionOwners> {
    const log = await options.store.open(LOG, { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) })
    const sessions = new LocalSessionOwners(options, log)
    const stored = [...log.attributes].flatMap(([sessionId, text]): [string, Owner][] => {
      const owner: unknown = JSON.parse(text)
      return ownerCheck.Check(owner) ? [[sessionId, owner]] : []
    })
    for (const [sessionId, owner] of stored.sort(([, a], [, b]) => a.usedAt - b.usedAt)) {
      sessions.#set(sessionId, owner)
    }
    return sessions
  }

  get size(): number {
    return this.#owners.size
  }

  async claim(sessionId: string, principal: Principal): Promise<void> {
    const { userId } = principal
    const now = this.#options.clock.now()
    const owner = this.#owners.get(sessionId)
    const isKept = owner !== undefined && now - owner.usedAt < this.#options.keepMs
    const claim = claimOf(isKept ? owner.userId : undefined, principal)
    if (claim === 'let') return
    if (claim === 'others') throw othersSession(sessionId)
    if (claim === 'taken' && owner !== undefined) this.#options.onTaken(owner.userId)
    this.#set(sessionId, { userId, usedAt: now })
    const isStored = isKept && owner.userId === userId && this.#isFresh(sessionId, now)
    if (!isStored) this.#store({ [sessionId]: JSON.stringify({ userId, usedAt: now }) })
    this.#forgetSurplus(userId, now)
  }

  #set(sessionId: string, owner: Owner): void {
    this.#delete(sessionId)
    this.#owners.set(sessionId, owner)
    if (isReservedUser(owner.userId)) this.#anonymous.add(sessionId)
    const ofUser = this.#byUser.get(owner.userId) ?? new Set()
    this.#byUser.set(owner.userId, ofUser.add(sessionId))
  }

  #delete(sessionId: string): void {
    const owner = this.#owners.get(sessionId)
    if (owner === undefined) return
    this.#owners.delete(sessionId)
    this.#anonymous.delete(sessionId)
    const ofUser = this.#byUser.get(owner.userId)
    if (ofUser?.delete(sessionId) && ofUser.size === 0) this.#byUser.delete(owner.userId)
  }

  #isFresh(sessionId: string, now: number): boolean {
    const text = this.#log.attributes.get(sessionId)
    const stored: unknown = text === undefined ? undefined : JSON.parse(text)
    return ownerCheck.Check(stored) && now - stored.usedAt < STORE_EVERY_MS
  }

  #forgetSurplus(userId: string, now: number): void {
    const forgotten: string[] = []
    const [usersOldest] = this.#byUser.get(userId) ?? []
    if (usersOldest !== undefined && (this.#byUser.get(userId)?.size ?? 0) > MAX_PER_USER) {
      forgotten.push(usersOldest)
    }
    const [oldestAnonymous] = this.#anonymous
    if (oldestAnonymous !== undefined && this.#owners.size - forgotten.length > MAX_SESSIONS) {
      forgotten.push(oldestAnonymous)
    }
    for (const [sessionId, { usedAt }] of this.#owners) {
      if (this.#owners.size - forgotten.length <= MAX_SESSIONS && now - usedAt < this.#options.keepMs) break
      if (!forgotten.includes(sessionId)) forgotten.push(sessionId)
      if (forgotten.length === MAX_PER_USER) break
    }
    if (forgotten.length === 0) return
    for (const sessionId of forgotten) this.#delete(sessionId)
    this.#store(Object.fromEntries(forgotten.map((sessionId) => [sessionId, null])))
  }

  /** Not awaited: a stream is opened also while nothing can be stored, and this process remembers. */
  #store(attributes: Readonly<Record<string, string | null>>): void {
    this.#log.append([], { attributes }).catch(() => undefined)
  }
}
