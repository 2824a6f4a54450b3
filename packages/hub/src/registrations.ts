import { randomBytes } from 'node:crypto'
import { type ConsistencyFault, ProblemError } from '@tributary/protocol'
import type { Connection } from './connection.ts'
import type { HubPresence } from './hub-presence.ts'
import { type RegistrationDiff, registrationDiff, registrationKey } from './registration-diff.ts'
import type {
  ConnectionEntry,
  ConnectionLimits,
  ConnectionRef,
  ConnectionRegistry,
  GroupMove,
  Registration,
} from './registry/connection-registry.ts'
import { shownOf } from './shown-metadata.ts'
import { userLimitReached } from './user-limit.ts'

const TOKEN_BYTES = 6
/** Those that end in one turn are removed together, so many at a time. */
const MAX_BATCH = 500
/** Seconds until who finds the cluster full should try again. */
const FULL_RETRY_AFTER_S = 10
/** Refusals at a time that are looked into before they are told. */
const MAX_CHECKS = 32

export interface RegistrationsOptions {
  readonly registry: ConnectionRegistry
  readonly nodeId: string
  readonly limits: ConnectionLimits
  /** How long changes are kept for who wants them, in ms. */
  readonly watchMs: number
  /** The keys of metadata that others may see. */
  readonly shownMetadata: readonly string[]
  readonly presence: HubPresence
  /** Has those ended that made room for another, wherever they are open. */
  readonly onDisplaced: (entries: readonly ConnectionEntry[]) => void
  /** Asks the nodes that are said to have them open. */
  readonly check: (entries: readonly ConnectionEntry[]) => Promise<CheckedEntries>
  /** Called where something could not be registered or removed: once the others can be reached, `reconcile` has to be. */
  readonly onUnavailable: () => void
}

/** What the nodes say of entries. */
export interface CheckedEntries {
  /** Those that are not open any more. */
  readonly gone: readonly ConnectionEntry[]
  /** Nodes that do not answer. */
  readonly silent: readonly string[]
}

/** What `reconcile` found and mended. */
export interface Reconciled {
  readonly restored: number
  readonly removed: number
  readonly moved: number
}

/** A connection that was registered, or could not be for now. */
export interface Admission {
  readonly entry: ConnectionEntry
  /** Tells of the groups that its user came into by it: once whoever observes knows of the connection. */
  readonly tellJoins: () => void
}

interface Registered {
  readonly ref: ConnectionRef
  /** Whether what was asked of the registry has been answered. */
  isSettled: boolean
}

/** The connections of this node in the registry of all. */
export class Registrations {
  readonly #options: RegistrationsOptions
  readonly #registered = new Map<Connection, Registered>()
  #removals: ConnectionRef[] = []
  #removing: Promise<unknown> = Promise.resolve()
  #checks = 0

  constructor(options: RegistrationsOptions) {
    this.#options = options
  }

  /** Whether the connection of this registration is open here. */
  has(connection: Connection | undefined, token: string): boolean {
    return connection !== undefined && this.#registered.get(connection)?.ref.token === token
  }

  /**
   * Registers a connection. Where the other nodes cannot be known of, it is taken by the limits of this one alone.
   *
   * @throws ProblemError `connection_exists`, `user_connection_limit`, `too_many_connections`.
   */
  async add(connection: Connection): Promise<Admission> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    const registered = { ref: { connectionId: connection.connectionId, token }, isSettled: false }
    const entry = this.#entryOf(connection, registered)
    this.#registered.set(connection, registered)
    // First what has ended: it is not to be in the way.
    this.#flush()
    let tellJoins = () => {}
    try {
      const registration = await this.#register(entry, connection)
      if (!registration.ok) throw refusal(registration, entry, this.#options.limits)
      this.#options.onDisplaced(registration.displaced)
      // Where it comes to nothing they are handed out again.
      tellJoins = () => this.#options.presence.tell(registration.announcements)
    } catch (error) {
      if (!isUnavailable(error)) {
        this.#registered.delete(connection)
        throw error
      }
      this.#options.onUnavailable()
    }
    registered.isSettled = true
    // It may have ended meanwhile, and its removal have come too early.
    if (!this.#registered.has(connection)) this.#removeLater(entry)
    return { entry, tellJoins }
  }

  /** It has ended. The second call does nothing. */
  remove(connection: Connection): void {
    const registered = this.#registered.get(connection)
    if (registered === undefined) return
    this.#registered.delete(connection)
    this.#removeLater(registered.ref)
    if (connection.userId !== undefined) this.#options.presence.leftSoon()
  }

  /** It has joined and left groups. */
  async move(connection: Connection, { join, leave }: GroupMove): Promise<void> {
    const registered = this.#registered.get(connection)
    if (registered === undefined) return
    const { registry, presence, watchMs } = this.#options
    try {
      const watching = connection.presence ? { watchMs } : {}
      presence.tell(await registry.move(registered.ref, { join, leave, ...watching }))
      if (leave.length > 0) presence.leftSoon()
    } catch (error) {
      if (!isUnavailable(error)) throw error
      this.#options.onUnavailable()
    }
  }

  /** Compares what is open here with what the registry has of this node, and mends that. @throws ProblemError `store_unavailable` */
  async reconcile(): Promise<Reconciled> {
    const { registry, presence } = this.#options
    const { ghosts, missing, moved } = await this.#compare()
    for (const batch of batches(ghosts)) await registry.remove(batch)
    for (const batch of batches(missing)) presence.tell(await registry.restore(batch))
    for (const { entry, move } of moved) presence.tell(await registry.move(entry, move))
    if (ghosts.length + moved.length > 0) presence.leftSoon()
    return { restored: missing.length, removed: ghosts.length, moved: moved.length }
  }

  /** What the registry has otherwise than it is here. @throws ProblemError `store_unavailable` */
  async faults(): Promise<ConsistencyFault[]> {
    const { registry, presence } = this.#options
    const { ghosts, missing, moved } = await this.#compare()
    const fault = (
      kind: ConsistencyFault['kind'],
      entry: ConnectionEntry,
      correct: () => Promise<unknown>,
    ): ConsistencyFault => ({
      kind,
      id: registrationKey(entry),
      detail: `the connection ${entry.connectionId} of ${entry.userId ?? 'nobody'}`,
      correct: async () => {
        await correct()
        presence.leftSoon()
      },
    })
    return [
      ...ghosts.map((entry) => fault('ghost_in_cluster', entry, () => registry.remove([entry]))),
      ...missing.map((entry) =>
        fault('missing_in_cluster', entry, async () => {
          if (this.#isOpen(entry)) presence.tell(await registry.restore([entry]))
        }),
      ),
      ...moved.map(({ entry, move }) =>
        fault('missing_in_cluster', entry, async () => presence.tell(await registry.move(entry, move))),
      ),
    ]
  }

  /** Resolves once what has ended is removed, or cannot be. */
  async settled(): Promise<void> {
    this.#flush()
    await this.#removing
  }

  async #register(entry: ConnectionEntry, connection: Connection): Promise<Registration> {
    const { registry, limits, watchMs, check } = this.#options
    const options = { limits, ...(connection.presence ? { watchMs } : {}) }
    const first = await registry.register(entry, options)
    if (first.ok || first.reason === 'total_limit' || this.#checks >= MAX_CHECKS) return first
    // Nobody is refused for a connection that is gone: his own, which he comes back for, before all.
    this.#checks += 1
    try {
      const { gone, silent } = await check(first.holders)
      if (gone.length === 0 && silent.length === 0) return first
      await registry.remove(gone)
      return await registry.register(entry, { ...options, ignoring: silent })
    } finally {
      this.#checks -= 1
    }
  }

  async #compare(): Promise<RegistrationDiff> {
    this.#flush()
    const known = await this.#knownOf(this.#options.nodeId)
    const settled = [...this.#registered].filter(([, { isSettled }]) => isSettled)
    const open = settled.map(([connection, registered]) => this.#entryOf(connection, registered))
    const keys = new Set([...this.#registered.values()].map(({ ref }) => registrationKey(ref)))
    return registrationDiff(known, open, (ref) => keys.has(registrationKey(ref)))
  }

  #isOpen(ref: ConnectionRef): boolean {
    return this.#registered.values().some((registered) => registered.ref.token === ref.token)
  }

  async #knownOf(nodeId: string): Promise<Map<string, ConnectionEntry>> {
    const known = new Map<string, ConnectionEntry>()
    let after: string | undefined
    do {
      const page = await this.#options.registry.ofNode(nodeId, {
        limit: MAX_BATCH,
        ...(after === undefined ? {} : { after }),
      })
      for (const entry of page.entries) known.set(registrationKey(entry), entry)
      after = page.next
    } while (after !== undefined)
    return known
  }

  #entryOf(connection: Connection, { ref }: Pick<Registered, 'ref'>): ConnectionEntry {
    const { userId, groups, metadata } = connection
    const shown = shownOf(metadata, this.#options.shownMetadata)
    return {
      ...ref,
      nodeId: this.#options.nodeId,
      groups: [...groups],
      ...(userId === undefined ? {} : { userId }),
      ...(shown === undefined ? {} : { shown }),
    }
  }

  #removeLater({ connectionId, token }: ConnectionRef): void {
    if (this.#removals.push({ connectionId, token }) === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    const removals = this.#removals
    this.#removals = []
    for (const batch of batches(removals)) {
      const removed = this.#options.registry.remove(batch).catch(() => this.#options.onUnavailable())
      this.#removing = Promise.all([this.#removing, removed])
    }
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'store_unavailable'
}

function* batches<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += MAX_BATCH) yield all.slice(at, at + MAX_BATCH)
}

function refusal(
  { reason }: Extract<Registration, { ok: false }>,
  { connectionId, userId }: ConnectionEntry,
  { maxPerUser, maxTotal }: ConnectionLimits,
): ProblemError {
  if (reason === 'exists') return connectionExists(connectionId)
  if (reason === 'user_limit') return userLimitReached(userId ?? '', maxPerUser)
  return new ProblemError(
    'too_many_connections',
    `All nodes together keep ${maxTotal} connections (MAX_CONNECTIONS_CLUSTER), and all are taken. ` +
      `Try again in ${FULL_RETRY_AFTER_S} s.`,
    { retryAfterS: FULL_RETRY_AFTER_S },
  )
}

export function connectionExists(id: string): ProblemError {
  return new ProblemError(
    'connection_exists',
    `A connection ${JSON.stringify(id)} is open; close it first, or take another id`,
  )
}
