import type { EventLog } from '@tributary/eventlog'
import {
  type Audience,
  type Clock,
  type ConsistencyFault,
  type DisconnectReason,
  type HubStatus,
  type ProbeResult,
  ProblemError,
  systemClock,
  type Where,
} from '@tributary/protocol'
import { type PollPage, type SinkFactory, StreamServer, spread } from '@tributary/sse'
import type { Connection, ConnectionRights, ConnectOptions } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'
import { DeliveryTimer } from './delivery-timer.ts'
import { FanOut } from './fan-out.ts'
import { DEFAULT_HISTORY_MAX_BYTES, historyRetention } from './history-retention.ts'
import { HubConnections } from './hub-connections.ts'
import { hubFaults } from './hub-faults.ts'
import { NO_HUB_METER } from './hub-meter.ts'
import {
  DEFAULT_MAX_EVENT_BYTES,
  DEFAULT_NAMESPACE,
  DEFAULT_SOURCE,
  type HubOptions,
  type HubStats,
  type SendOptions,
} from './hub-options.ts'
import { HubPolls, type PollOptions } from './hub-polls.ts'
import { HubProbe } from './hub-probe.ts'
import { Publisher, type SendReceipt } from './publisher.ts'
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
  readonly #untail: () => void
  readonly #unrewind: () => void

  private constructor(options: HubOptions, log: EventLog) {
    const { clock = systemClock, streams = new StreamServer({ clock }) } = options
    this.#clock = clock
    this.#connections = new HubConnections({ hub: options, log, streams, clock })
    this.#index = this.#connections.index
    this.#fanOut = new FanOut(this.#index)
    this.#polls = new HubPolls(log, streams, options.maxWaitingPolls)
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
    this.#untail = log.tail((entry) => {
      this.#fanOut.offer(entry)
      this.#polls.tell(entry)
    })
    this.#unrewind = log.onRewind(() => this.#connections.rewind())
  }

  /** Opens the hub over its log in the store. */
  static async open(options: HubOptions): Promise<Hub> {
    const { store, namespace = DEFAULT_NAMESPACE } = options
    const { historyMaxBytes: maxBytes = DEFAULT_HISTORY_MAX_BYTES } = options
    const log = await store.open(namespace, { retention: historyRetention(options), maxBytes })
    return new Hub(options, log)
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

  isConnected(userId: string): boolean {
    return this.countForUser(userId) > 0
  }

  getConnection(connectionId: string): Connection | undefined {
    return this.#index.get(connectionId)
  }

  connections(): Connection[] {
    return [...this.#index.all()]
  }

  /** Those that have been told why they end, and whose socket is not closed yet. */
  leavingConnections(): Connection[] {
    return [...this.#connections.leaving()]
  }

  /** How many connections one user may have, and what one more does. */
  get userLimit(): Required<UserLimitOptions> {
    const { max, policy } = this.#connections.userLimit
    return { maxConnectionsPerUser: max, connectionLimitPolicy: policy }
  }

  connectionsOfUser(userId: string): Connection[] {
    return [...this.#index.ofUser(userId)]
  }

  connectionsOfGroup(group: string): Connection[] {
    return [...this.#index.ofGroup(group)]
  }

  /**
   * Joins a group on the open stream: it misses nothing that is published after the answer, which is whether there is
   * such a connection.
   *
   * @throws ProblemError `store_unavailable` where what is for the group cannot be heard of; it has not joined then.
   */
  async addToGroup(connectionId: string, group: string): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    return connection !== undefined && (await this.#connections.join(connection, group))
  }

  /** Leaves a group on the open stream, at once. Answers whether there is such a connection. */
  async removeFromGroup(connectionId: string, group: string): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) this.#connections.leave(connection, group)
    return connection !== undefined
  }

  /** Ends a connection for good; `reason` is told to its reader. Answers whether there was one. */
  close(connectionId: string, reason?: string): boolean {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) this.#connections.end(connection, 'forced', reason)
    return connection !== undefined
  }

  /**
   * Gives a connection other rights on the open stream, as where its user has a new token. Roles and metadata take the
   * place of those it had, and it leaves the groups that it may not be in; what it stays in goes on without a gap.
   * It ends when the new credential does. What is taken from it is at once; what it has beyond that, once it is answered
   * whether there is such a connection.
   *
   * @throws ProblemError `store_unavailable` where what is for its new roles cannot be heard of.
   */
  async refresh(connectionId: string, rights: ConnectionRights): Promise<boolean> {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) await this.#connections.refresh(connection, rights)
    return connection !== undefined
  }

  /** Ends a user's connections for good; `reason` is told to their readers. Answers how many there were. */
  closeUser(userId: string, reason?: string): number {
    return this.#connections.endEach(this.connectionsOfUser(userId), 'forced', reason)
  }

  /** Ends for good those that were opened with a token, or last refreshed with it. Looks at every connection. */
  closeToken(tokenId: string, reason?: string): number {
    const ofToken = this.connections().filter(({ credential }) => credential?.tokenId === tokenId)
    return this.#connections.endEach(ofToken, 'forced', reason)
  }

  /** Ends all connections; in a `drain` polls that wait are answered, too. Answers how many connections there were. */
  closeAll(reason: DisconnectReason = 'forced', message?: string): number {
    if (reason === 'drain') this.#polls.endAll()
    return this.#connections.endEach(this.connections(), reason, message)
  }

  /** Sends a heartbeat to all now. Answers how many outboxes took it. */
  sendHealthCheck(): number {
    return this.#connections.beat()
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

  count(): number {
    return this.#index.size
  }

  countForUser(userId: string): number {
    return this.#index.ofUser(userId).size
  }

  /** What of its connections does not fit together. Looks at each: for whoever asks now and then. */
  faults(): ConsistencyFault[] {
    return hubFaults({ index: this.#index, streams: this.#connections.streams, now: this.#clock.now() })
  }

  /** How many are connected, by user, by group and by state; `disconnecting` ones are not among the others. */
  status(): HubStatus {
    return { ...this.#index.status(), connectionStates: this.#connections.states() }
  }

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

  /** Ends all connections and sets the counters back. History stays. */
  reset(): void {
    this.closeAll('forced', 'The hub was reset')
    this.#connections.resetCount()
    this.#fanOut.resetCount()
    this.#publisher.resetCount()
    this.#probe.resetCount()
  }

  /**
   * Takes no more connections, and ends those there are, to be resumed elsewhere: over a time where they are many, so
   * that not all come back at once. Polls that wait are answered in between. What is published is still delivered.
   *
   * @param overMs the longest it may take. @param limit aborted when there is no more time.
   */
  async drain(overMs: number, limit?: AbortSignal): Promise<void> {
    this.#connections.close()
    const ends = this.connections().map((connection) => () => this.#connections.end(connection, 'drain'))
    await spread([...this.#polls.close(), ...ends], { clock: this.#clock, overMs, limit })
  }

  /** Takes no more connections, and ends those there are, to be resumed elsewhere. The store stays its owner's. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
    this.#untail()
    this.#unrewind()
  }
}
