import {
  type Audience,
  type ConsistencyFault,
  type DisconnectReason,
  type GroupPresence,
  type HubStatus,
  type ProbeResult,
  ProblemError,
  type UserPresence,
} from '@tributary/protocol'
import { type PollPage, type SinkFactory, spread } from '@tributary/sse'
import type { Connection, ConnectionRights, ConnectOptions } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'
import type { ConnectionPage, ConnectionQuery } from './connection-page.ts'
import { DEFAULT_HISTORY_MAX_BYTES, historyRetention } from './history-retention.ts'
import type { HubConnections } from './hub-connections.ts'
import { hubFaults } from './hub-faults.ts'
import type { CloseReceipt } from './hub-nodes.ts'
import { DEFAULT_NAMESPACE, type HubOptions, type HubStats, type SendOptions } from './hub-options.ts'
import { createHubParts, type HubParts } from './hub-parts.ts'
import type { PollOptions } from './hub-polls.ts'
import { HubSends } from './hub-sends.ts'
import type { LocalHub } from './local-hub.ts'
import { openLocalRegistry } from './membership.ts'
import type { SendReceipt } from './publisher.ts'
import type { Reconciled } from './registrations.ts'
import type { UserLimitOptions } from './user-limit.ts'

/** The open connections, and the fan-out of the hub log to them. */
export class Hub extends HubSends implements AsyncDisposable {
  readonly #parts: HubParts
  readonly #connections: HubConnections
  readonly #index: ConnectionIndex
  /** The share of this node. */
  readonly local: LocalHub

  private constructor(parts: HubParts) {
    super()
    this.#parts = parts
    this.#connections = parts.connections
    this.#index = parts.connections.index
    this.local = parts.local
  }

  /** Opens the hub over its log in the store. */
  static async open(options: HubOptions): Promise<Hub> {
    const { store, namespace = DEFAULT_NAMESPACE } = options
    const { historyMaxBytes: maxBytes = DEFAULT_HISTORY_MAX_BYTES } = options
    const log = await store.open(namespace, { retention: historyRetention(options), maxBytes })
    const registry = options.registry ?? (await openLocalRegistry(options, namespace))
    const parts = createHubParts(options, { log, registry })
    // Who has left while nobody was there to tell.
    await parts.presence.sweep()
    return new Hub(parts)
  }

  /**
   * Opens a connection on a sink: `connection`, then a gap where there is one, replay, live.
   *
   * @param sink called once the connection is sure to be taken; until then an error can still be answered.
   * @throws ProblemError `connection_exists` where its id is taken and the hub refuses a second;
   *   `invalid_cursor` where `lastEventId` is none of a hub; `invalid_request` where `timeoutMs` is no time, or a name
   *   holds half of a surrogate pair; `draining` once the hub drains, or is closed; `user_connection_limit`, `too_many_connections`,
   *   `address_connection_limit` and `connect_rate_limited` where a limit is reached.
   */
  connect(options: ConnectOptions, sink: SinkFactory): Promise<Connection> {
    return this.#connections.open(options, sink)
  }

  /**
   * Appends an event for an audience, and hands it to whom it is for.
   *
   * @throws ProblemError `event_too_large` past `maxEventBytes`; `invalid_request` where its name or data
   *   cannot be sent, or the audience names whom nobody can be; `idempotency_conflict` where its key was used for something else.
   */
  async publish(
    audience: Audience,
    type: string,
    data: unknown,
    options: SendOptions = {},
  ): Promise<SendReceipt> {
    return this.#parts.publisher.publish(audience, type, data, options)
  }

  /**
   * Answers a page of the hub's log to who polls for it, from its cursor; without one the head's, to wait from.
   *
   * @throws ProblemError `invalid_cursor` where `lastEventId` is none of a hub; `invalid_request` where a name holds half
   *   of a surrogate pair; `overloaded` where too many wait.
   */
  poll(options: PollOptions): Promise<PollPage> {
    return this.#parts.polls.poll(options)
  }

  /** Whether a user is connected, to any node. @throws ProblemError `store_unavailable` */
  isConnected(userId: string): Promise<boolean> {
    return this.#parts.roster.isConnected(userId)
  }

  /** The connections of all nodes. @throws ProblemError `store_unavailable` */
  count(): Promise<number> {
    return this.#parts.roster.count()
  }

  /** Those of a user. @throws ProblemError `store_unavailable` */
  countForUser(userId: string): Promise<number> {
    return this.#parts.roster.countForUser(userId)
  }

  /** Those in a group. @throws ProblemError `store_unavailable` */
  countForGroup(group: string): Promise<number> {
    return this.#parts.roster.countForGroup(group)
  }

  /**
   * How many are connected to all nodes, by user, by group and by state, and how many to this one.
   *
   * @throws ProblemError `store_unavailable`
   */
  status(): Promise<HubStatus> {
    return this.#parts.roster.status()
  }

  /**
   * Who is in a group, over all nodes, and from where on changes are told: a stream with `presence` from the `cursor` of
   * the first page misses none.
   *
   * @throws ProblemError `store_unavailable`
   */
  presenceOfGroup(
    group: string,
    query: { readonly limit: number; readonly after?: string },
  ): Promise<GroupPresence> {
    return this.#parts.roster.presenceOfGroup(group, query)
  }

  /** Whether a user is there, since when, and in which groups. @throws ProblemError `store_unavailable` */
  presenceOfUser(userId: string): Promise<UserPresence> {
    return this.#parts.roster.presenceOfUser(userId)
  }

  /** The node that has a connection. @throws ProblemError `store_unavailable` */
  nodeOf(connectionId: string): Promise<string | undefined> {
    return this.#parts.roster.nodeOf(connectionId)
  }

  /** How many connections a user may have, and what one more does. */
  get userLimit(): Required<UserLimitOptions> {
    const { max, policy } = this.#connections.userLimit
    return { maxConnectionsPerUser: max, connectionLimitPolicy: policy }
  }

  /** A page of the connections of all nodes, the oldest first. */
  connections(
    query: ConnectionQuery = {},
  ): Promise<ConnectionPage & { readonly unreachable: readonly string[] }> {
    return this.#parts.nodes.page(query)
  }

  /**
   * Joins a group on the open stream: it misses nothing that is published after the answer, which is whether this node has
   * such a connection; `nodeOf` says which has it.
   *
   * @throws ProblemError `store_unavailable` where what is for the group cannot be heard of, `invalid_request` where its name holds
   *   half of a surrogate pair; it has not joined then.
   */
  async addToGroup(connectionId: string, group: string): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    return connection !== undefined && (await this.#parts.changes.join(connection, group))
  }

  /** Leaves a group on the open stream, at once. Answers whether this node has such a connection. */
  async removeFromGroup(connectionId: string, group: string): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) this.#parts.changes.leave(connection, group)
    return connection !== undefined
  }

  /** Ends a connection for good, at whichever node; `reason` is told to its reader. One of this node has ended at once. */
  close(connectionId: string, reason?: string): Promise<CloseReceipt> {
    return this.#parts.nodes.close('connection', connectionId, reason)
  }

  /**
   * Gives a connection of this node other rights on the open stream, as where its user has a new token. Roles and metadata take the
   * place of those it had, and it leaves the groups that it may not be in; what it stays in goes on without a gap.
   * It ends when the new credential does. What is taken from it is at once; what it has beyond that, once it is answered
   * whether this node has such a connection.
   *
   * @throws ProblemError `store_unavailable` where what is for its new roles cannot be heard of; `invalid_request` where one of their
   *   names holds half of a surrogate pair: it has what it had then.
   */
  async refresh(connectionId: string, rights: ConnectionRights): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) await this.#parts.changes.refresh(connection, rights)
    return connection !== undefined
  }

  /** Ends a user's connections for good, at all nodes; `reason` is told to their readers. Those of this node at once. */
  closeUser(userId: string, reason?: string): Promise<CloseReceipt> {
    return this.#parts.nodes.close('user', userId, reason)
  }

  /** Ends for good those that were opened with a token, or last refreshed with it. Looks at every connection. */
  closeToken(tokenId: string, reason?: string): Promise<CloseReceipt> {
    return this.#parts.nodes.close('token', tokenId, reason)
  }

  /** Ends all connections of all nodes for good. */
  closeAll(reason?: string): Promise<CloseReceipt> {
    return this.#parts.nodes.close('all', '', reason)
  }

  /** Ends all connections of this node; in a `drain` polls that wait are answered, too. Answers how many there were. */
  endAll(reason: DisconnectReason): number {
    if (reason === 'drain') this.#parts.polls.endAll()
    return this.local.closeAll(reason)
  }

  /** Sends all of all nodes a heartbeat now, and says how many there are, how many outboxes took it, and who was silent. */
  sendHealthCheck() {
    return this.#parts.nodes.beat()
  }

  /**
   * Compares this node's connections with what is registered of them, and mends that: as after Redis was away.
   *
   * @throws ProblemError `store_unavailable`
   */
  reconcile(): Promise<Reconciled> {
    return this.#parts.registrations.reconcile()
  }

  /** What of this node's connections does not fit together. Looks at each: for whoever asks now and then. */
  faults(): ConsistencyFault[] {
    return hubFaults({ index: this.#index, streams: this.#connections.streams, now: this.#parts.clock.now() })
  }

  /**
   * What the registry has otherwise than this node: for whoever looks now and then.
   *
   * @throws ProblemError `store_unavailable`
   */
  registryFaults(): Promise<ConsistencyFault[]> {
    return this.#parts.registrations.faults()
  }

  /**
   * Proves that events flow: one goes through the log and the fan-out to a reader that is no connection of anybody.
   * Calls that overlap share a probe, and one that came through a moment ago answers for the next second.
   *
   * @throws ProblemError `store_unavailable`; `not_ready` where nothing came back in time; `draining` once the hub is.
   */
  async probe(): Promise<ProbeResult> {
    if (this.#connections.closed) throw new ProblemError('draining', 'This hub is about to stop.')
    return this.#parts.probe.run()
  }

  /** What this node has counted. */
  stats(): HubStats {
    const { publisher, fanOut, probe } = this.#parts
    return {
      activeConnections: this.#index.size,
      totalConnections: this.#connections.opened,
      connectionsRefused: this.#connections.refused,
      eventsPublished: publisher.published,
      eventsDispatched: fanOut.dispatched - probe.delivered,
      eventsDropped: this.#connections.eventsDropped,
      waitingPolls: this.#parts.polls.waiting,
    }
  }

  /** Ends all connections of this node and sets its counters back. History stays. */
  reset(): void {
    const { publisher, fanOut, probe } = this.#parts
    this.local.closeAll('forced', 'The hub was reset')
    for (const counting of [this.#connections, fanOut, publisher, probe]) counting.resetCount()
  }

  /**
   * Takes no more connections at this node, and ends those there are, to be resumed elsewhere: over a time where they are many, so
   * that not all come back at once. Polls that wait are answered in between. What is published is still delivered.
   *
   * @param overMs the longest it may take. @param limit aborted when there is no more time.
   */
  async drain(overMs: number, limit?: AbortSignal): Promise<void> {
    this.#connections.close()
    const ends = this.local
      .connections()
      .map((connection) => () => this.#connections.end(connection, 'drain'))
    await spread([...this.#parts.polls.close(), ...ends], { clock: this.#parts.clock, overMs, limit })
  }

  /** Takes no more connections, and ends those there are, to be resumed elsewhere. The store stays its owner's. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
    await this.#parts.registrations.settled()
    this.#parts.end()
  }
}
