import { LocalCluster } from '@tributary/cluster'
import type { EventLog } from '@tributary/eventlog'
import {
  type Audience,
  type Clock,
  type ConsistencyFault,
  type DisconnectReason,
  type GroupPresence,
  type HubStatus,
  type ProbeResult,
  ProblemError,
  presenceTopic,
  systemClock,
  type UserPresence,
  type Where,
} from '@tributary/protocol'
import { type PollPage, type SinkFactory, StreamServer, spread } from '@tributary/sse'
import type { Connection, ConnectionRights, ConnectOptions } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'
import type { ConnectionPage, ConnectionQuery } from './connection-page.ts'
import { DeliveryTimer } from './delivery-timer.ts'
import { FanOut } from './fan-out.ts'
import { DEFAULT_HISTORY_MAX_BYTES, historyRetention } from './history-retention.ts'
import type { HubConnections } from './hub-connections.ts'
import { hubFaults } from './hub-faults.ts'
import { NO_HUB_METER } from './hub-meter.ts'
import type { CloseReceipt, HubNodes } from './hub-nodes.ts'
import {
  DEFAULT_MAX_EVENT_BYTES,
  DEFAULT_NAMESPACE,
  DEFAULT_SOURCE,
  type HubOptions,
  type HubStats,
  type SendOptions,
} from './hub-options.ts'
import { HubPolls, type PollOptions } from './hub-polls.ts'
import type { HubPresence } from './hub-presence.ts'
import { HubProbe } from './hub-probe.ts'
import type { LocalHub } from './local-hub.ts'
import { createMembership, openLocalRegistry } from './membership.ts'
import { Publisher, type SendReceipt } from './publisher.ts'
import type { Reconciled, Registrations } from './registrations.ts'
import type { ConnectionRegistry } from './registry/connection-registry.ts'
import { DEFAULT_IDEMPOTENCY_WINDOW_MS } from './send-once.ts'
import type { UserLimitOptions } from './user-limit.ts'

/** The open connections, and the fan-out of the hub log to them. */
export class Hub implements AsyncDisposable {
  readonly #clock: Clock
  readonly #connections: HubConnections
  readonly #index: ConnectionIndex
  readonly #fanOut: FanOut
  readonly #polls: HubPolls
  readonly #publisher: Publisher
  readonly #probe: HubProbe
  readonly #log: EventLog
  readonly #registry: ConnectionRegistry
  readonly #watchMs: number
  readonly #presence: HubPresence
  readonly #registrations: Registrations
  readonly #nodes: HubNodes
  readonly #ends: (() => void)[]
  /** The share of this node. */
  readonly local: LocalHub

  private constructor(
    options: HubOptions,
    { log, registry }: { log: EventLog; registry: ConnectionRegistry },
  ) {
    const { clock = systemClock, streams = new StreamServer({ clock }) } = options
    const { cluster = new LocalCluster({ service: 'gateway', clock }) } = options
    this.#clock = clock
    this.#log = log
    this.#registry = registry
    const members = createMembership({ hub: options, log, registry, cluster, clock, streams })
    this.local = members.local
    this.#watchMs = members.watchMs
    this.#presence = members.presence
    this.#registrations = members.registrations
    this.#nodes = members.nodes
    this.#connections = members.connections
    this.#index = this.#connections.index
    this.#fanOut = new FanOut(this.#index)
    this.#polls = new HubPolls({
      log,
      streams,
      maxWaiting: options.maxWaitingPolls,
      watch: (groups) => registry.watch(groups, members.watchMs),
    })
    const source = options.source ?? DEFAULT_SOURCE
    const { meter = NO_HUB_METER } = options
    this.#publisher = new Publisher({
      log,
      fanOut: this.#fanOut,
      timer: new DeliveryTimer(streams, meter),
      clock,
      source,
      maxEventBytes: options.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES,
      idempotencyWindowMs: options.idempotencyWindowMs ?? DEFAULT_IDEMPOTENCY_WINDOW_MS,
    })
    this.#probe = new HubProbe({ log, streams, index: this.#index, fanOut: this.#fanOut, clock, source })
    this.#ends = [
      log.tail((entry) => {
        this.#fanOut.offer(entry)
        this.#polls.tell(entry)
      }),
      log.onTold((event) => this.#fanOut.offerEphemeral(event)),
      log.onRewind(() => this.#connections.rewind()),
      () => members.end(),
    ]
  }

  /** Opens the hub over its log in the store. */
  static async open(options: HubOptions): Promise<Hub> {
    const { store, namespace = DEFAULT_NAMESPACE } = options
    const { historyMaxBytes: maxBytes = DEFAULT_HISTORY_MAX_BYTES } = options
    const log = await store.open(namespace, { retention: historyRetention(options), maxBytes })
    const registry = options.registry ?? (await openLocalRegistry(options, namespace))
    const hub = new Hub(options, { log, registry })
    // Who has left while nobody was there to tell.
    await hub.#presence.sweep()
    return hub
  }

  /**
   * Opens a connection on a sink: `connection`, then a gap where there is one, replay, live.
   *
   * @param sink called once the connection is sure to be taken; until then an error can still be answered.
   * @throws ProblemError `connection_exists` where its id is taken and the hub refuses a second;
   *   `invalid_cursor` where `lastEventId` is none of a hub; `invalid_request` where `timeoutMs` is no time;
   *   `draining` once the hub drains, or is closed; `user_connection_limit`, `too_many_connections`,
   *   `address_connection_limit` and `connect_rate_limited` where a limit is reached.
   */
  connect(options: ConnectOptions, sink: SinkFactory): Promise<Connection> {
    return this.#connections.open(options, sink)
  }

  sendToUser(userId: string, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ users: [userId] }, event, data, options)
  }

  /** Sends to every connection of a group. */
  sendToGroup(group: string, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ groups: [group] }, event, data, options)
  }

  sendToSession(
    sessionId: string,
    event: string,
    data: unknown,
    options?: SendOptions,
  ): Promise<SendReceipt> {
    return this.publish({ sessions: [sessionId] }, event, data, options)
  }

  sendToConnection(id: string, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ connections: [id] }, event, data, options)
  }

  /** Sends to every connection whose metadata holds what `where` names. */
  sendFiltered(where: Where, event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ all: true, where }, event, data, options)
  }

  /** Sends to all. */
  broadcast(event: string, data: unknown, options?: SendOptions): Promise<SendReceipt> {
    return this.publish({ all: true }, event, data, options)
  }

  /**
   * Appends an event for an audience, and hands it to whom it is for.
   *
   * @throws ProblemError `event_too_large` past `maxEventBytes`; `invalid_request` where its name or data
   *   cannot be sent; `idempotency_conflict` where its key was used for something else.
   */
  async publish(
    audience: Audience,
    type: string,
    data: unknown,
    options: SendOptions = {},
  ): Promise<SendReceipt> {
    return this.#publisher.publish(audience, type, data, options)
  }

  /**
   * Answers a page of the hub's log to who polls for it, from its cursor; without one the head's, to wait from.
   *
   * @throws ProblemError `invalid_cursor` where `lastEventId` is none of a hub; `overloaded` where too many wait.
   */
  poll(options: PollOptions): Promise<PollPage> {
    return this.#polls.poll(options)
  }

  /** Whether a user is connected, to any node. @throws ProblemError `store_unavailable` */
  async isConnected(userId: string): Promise<boolean> {
    return this.local.isConnected(userId) || (await this.countForUser(userId)) > 0
  }

  /** How many connections a user may have, and what one more does. */
  get userLimit(): Required<UserLimitOptions> {
    const { max, policy } = this.#connections.userLimit
    return { maxConnectionsPerUser: max, connectionLimitPolicy: policy }
  }

  /** The node that has a connection. @throws ProblemError `store_unavailable` */
  async nodeOf(connectionId: string): Promise<string | undefined> {
    if (this.local.getConnection(connectionId) !== undefined) return this.local.nodeId
    return (await this.#registry.find(connectionId))?.nodeId
  }

  /** A page of the connections of all nodes, the oldest first. */
  connections(
    query: ConnectionQuery = {},
  ): Promise<ConnectionPage & { readonly unreachable: readonly string[] }> {
    return this.#nodes.page(query)
  }

  /**
   * Joins a group on the open stream: it misses nothing that is published after the answer, which is whether this node has
   * such a connection; `nodeOf` says which has it.
   *
   * @throws ProblemError `store_unavailable` where what is for the group cannot be heard of; it has not joined then.
   */
  async addToGroup(connectionId: string, group: string): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    return connection !== undefined && (await this.#connections.join(connection, group))
  }

  /** Leaves a group on the open stream, at once. Answers whether this node has such a connection. */
  async removeFromGroup(connectionId: string, group: string): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) this.#connections.leave(connection, group)
    return connection !== undefined
  }

  /** Ends a connection for good, at whichever node; `reason` is told to its reader. One of this node has ended at once. */
  close(connectionId: string, reason?: string): Promise<CloseReceipt> {
    return this.#nodes.close('connection', connectionId, reason)
  }

  /**
   * Gives a connection of this node other rights on the open stream, as where its user has a new token. Roles and metadata take the
   * place of those it had, and it leaves the groups that it may not be in; what it stays in goes on without a gap.
   * It ends when the new credential does. What is taken from it is at once; what it has beyond that, once it is answered
   * whether this node has such a connection.
   *
   * @throws ProblemError `store_unavailable` where what is for its new roles cannot be heard of.
   */
  async refresh(connectionId: string, rights: ConnectionRights): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) await this.#connections.refresh(connection, rights)
    return connection !== undefined
  }

  /** Ends a user's connections for good, at all nodes; `reason` is told to their readers. Those of this node at once. */
  closeUser(userId: string, reason?: string): Promise<CloseReceipt> {
    return this.#nodes.close('user', userId, reason)
  }

  /** Ends for good those that were opened with a token, or last refreshed with it. Looks at every connection. */
  closeToken(tokenId: string, reason?: string): Promise<CloseReceipt> {
    return this.#nodes.close('token', tokenId, reason)
  }

  /** Ends all connections of all nodes for good. */
  closeAll(reason?: string): Promise<CloseReceipt> {
    return this.#nodes.close('all', '', reason)
  }

  /** Ends all connections of this node; in a `drain` polls that wait are answered, too. Answers how many there were. */
  endAll(reason: DisconnectReason): number {
    if (reason === 'drain') this.#polls.endAll()
    return this.local.closeAll(reason)
  }

  /** Sends all of all nodes a heartbeat now, and says how many there are, how many outboxes took it, and who was silent. */
  sendHealthCheck() {
    return this.#nodes.beat()
  }

  /**
   * Who is in a group, over all nodes, and from where on changes are told: a stream with `presence` from the `cursor` of
   * the first page misses none.
   *
   * @throws ProblemError `store_unavailable`
   */
  async presenceOfGroup(
    group: string,
    query: { readonly limit: number; readonly after?: string },
  ): Promise<GroupPresence> {
    await this.#registry.watch([group], this.#watchMs)
    const following = this.#log.follow([presenceTopic(group)])
    try {
      await following.ready
      const cursor = this.#log.idOf(this.#log.head)
      const { userCount, members, next } = await this.#registry.members(group, query)
      return {
        groupId: group,
        userCount,
        users: [...members],
        ...(next === undefined ? {} : { next }),
        cursor,
      }
    } finally {
      following.end()
    }
  }

  /** Whether a user is there, since when, and in which groups. @throws ProblemError `store_unavailable` */
  async presenceOfUser(userId: string): Promise<UserPresence> {
    const [since, entries] = await Promise.all([
      this.#registry.userSince(userId),
      this.#registry.ofUser(userId),
    ])
    return {
      userId,
      online: since !== undefined,
      ...(since === undefined ? {} : { since }),
      connectionCount: entries.length,
      groups: [...new Set(entries.flatMap(({ groups }) => groups))],
    }
  }

  /**
   * Compares this node's connections with what is registered of them, and mends that: as after Redis was away.
   *
   * @throws ProblemError `store_unavailable`
   */
  reconcile(): Promise<Reconciled> {
    return this.#registrations.reconcile()
  }

  /**
   * What the registry has otherwise than this node: for whoever looks now and then.
   *
   * @throws ProblemError `store_unavailable`
   */
  registryFaults(): Promise<ConsistencyFault[]> {
    return this.#registrations.faults()
  }

  /**
   * Proves that events flow: one goes through the log and the fan-out to a reader that is no connection of anybody.
   * Calls that overlap share a probe, and one that came through a moment ago answers for the next second.
   *
   * @throws ProblemError `store_unavailable`; `not_ready` where nothing came back in time; `draining` once the hub is.
   */
  async probe(): Promise<ProbeResult> {
    if (this.#connections.closed) throw new ProblemError('draining', 'This hub is about to stop.')
    return this.#probe.run()
  }

  /** The connections of all nodes. @throws ProblemError `store_unavailable` */
  count(): Promise<number> {
    return this.#registry.count()
  }

  /** Those of a user. @throws ProblemError `store_unavailable` */
  async countForUser(userId: string): Promise<number> {
    return (await this.#registry.ofUser(userId)).length
  }

  /** What of this node's connections does not fit together. Looks at each: for whoever asks now and then. */
  faults(): ConsistencyFault[] {
    return hubFaults({ index: this.#index, streams: this.#connections.streams, now: this.#clock.now() })
  }

  /** Those in a group. @throws ProblemError `store_unavailable` */
  countForGroup(group: string): Promise<number> {
    return this.#registry.countOfGroup(group)
  }

  /**
   * How many are connected to all nodes, by user, by group and by state, and how many to this one.
   *
   * @throws ProblemError `store_unavailable`
   */
  async status(): Promise<HubStatus> {
    const [{ total, byUser, byGroup }, { states, unreachable }] = await Promise.all([
      this.#registry.counts(),
      this.#nodes.states(),
    ])
    return {
      totalEmitters: total,
      totalUsers: Object.keys(byUser).length,
      totalGroups: Object.keys(byGroup).length,
      emittersByUser: { ...byUser },
      emittersByGroup: { ...byGroup },
      connectionStates: states,
      local: { nodeId: this.local.nodeId, ...this.local.status() },
      ...(unreachable.length === 0 ? {} : { unreachable: [...unreachable] }),
    }
  }

  /** What this node has counted. */
  stats(): HubStats {
    return {
      activeConnections: this.#index.size,
      totalConnections: this.#connections.opened,
      connectionsRefused: this.#connections.refused,
      eventsPublished: this.#publisher.published,
      eventsDispatched: this.#fanOut.dispatched - this.#probe.delivered,
      eventsDropped: this.#connections.eventsDropped,
      waitingPolls: this.#polls.waiting,
    }
  }

  /** Ends all connections of this node and sets its counters back. History stays. */
  reset(): void {
    this.local.closeAll('forced', 'The hub was reset')
    this.#connections.resetCount()
    this.#fanOut.resetCount()
    this.#publisher.resetCount()
    this.#probe.resetCount()
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
    await spread([...this.#polls.close(), ...ends], { clock: this.#clock, overMs, limit })
  }

  /** Takes no more connections, and ends those there are, to be resumed elsewhere. The store stays its owner's. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
    await this.#registrations.settled()
    for (const end of this.#ends.splice(0)) end()
  }
}
