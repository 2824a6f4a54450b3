import type { EventLog, LogEntry } from '@tributary/eventlog'
import {
  type Audience,
  audienceIncludes,
  type Clock,
  type DisconnectReason,
  type HubStatus,
  memberTopics,
  ProblemError,
  parseCursor,
  type SendAnswer,
  systemClock,
  type Where,
} from '@tributary/protocol'
import { type StreamEnd, StreamServer, type StreamSink } from '@tributary/sse'
import { Callbacks } from './callbacks.ts'
import { Connection, type ConnectOptions } from './connection.ts'
import { ConnectionIndex } from './connection-index.ts'
import { FanOut } from './fan-out.ts'
import { historyRetention } from './history-retention.ts'
import {
  DEFAULT_MAX_EVENT_BYTES,
  DEFAULT_NAMESPACE,
  DEFAULT_SOURCE,
  DEFAULT_STREAM_MAX_TIMEOUT_MS,
  DEFAULT_STREAM_TIMEOUT_MS,
  type HubOptions,
  type HubStats,
  type SendOptions,
} from './hub-options.ts'
import { newEvent } from './new-event.ts'

/** The open connections, and the fan-out of the hub log to them. */
export class Hub implements AsyncDisposable {
  readonly #options: HubOptions
  readonly #log: EventLog
  readonly #clock: Clock
  readonly #streams: StreamServer
  readonly #index = new ConnectionIndex()
  readonly #fanOut = new FanOut(this.#index)
  readonly #callbacks: Callbacks
  readonly #untail: () => void
  #totalConnections = 0
  #closed = false

  private constructor(options: HubOptions, log: EventLog) {
    this.#options = options
    this.#log = log
    this.#clock = options.clock ?? systemClock
    this.#streams = options.streams ?? new StreamServer({ clock: this.#clock })
    this.#callbacks = new Callbacks(options.onCallbackError)
    this.#untail = log.tail((entry) => this.#fanOut.offer(entry))
  }

  /** Opens the hub over its log in the store. */
  static async open(options: HubOptions): Promise<Hub> {
    const { store, namespace = DEFAULT_NAMESPACE } = options
    return new Hub(options, await store.open(namespace, { retention: historyRetention(options) }))
  }

  /**
   * Opens a connection on a sink: `connection`, then a gap where there is one, replay, live.
   *
   * @param sink called once the connection is sure to be taken; until then an error can still be answered.
   * @throws ProblemError `connection_exists` where its id is taken and the hub refuses a second;
   *   `invalid_cursor` where `lastEventId` is none of a hub; `invalid_request` where `timeoutMs` is no time;
   *   `draining` once the hub is closed.
   */
  async connect(options: ConnectOptions, sink: () => StreamSink): Promise<Connection> {
    const cursor = cursorOf(options)
    const timeoutMs = this.#timeoutOf(options)
    const connection = this.#register(options)
    try {
      const stream = await this.#streams.serve({
        log: this.#log,
        sink,
        connectionId: connection.connectionId,
        ...cursor,
        startAt: 'head',
        form: connection.form,
        timeoutMs,
        overflow: 'disconnect',
        follow: false,
        topics: () => memberTopics(connection),
        accepts: (entry) => isFor(entry, connection),
        onError: (error) => this.#callbacks.run(connection, () => options.onError?.(error, connection)),
      })
      stream.onEnd((end) => this.#onEnd(connection, end, options))
      connection.attach(stream)
      stream.start()
    } catch (error) {
      this.#index.remove(connection)
      throw error
    }
    this.#totalConnections += 1
    return connection
  }

  sendToUser(userId: string, event: string, data: unknown, options?: SendOptions): Promise<SendAnswer> {
    return this.publish({ users: [userId] }, event, data, options)
  }

  /** Sends to every connection of a group. */
  sendToGroup(group: string, event: string, data: unknown, options?: SendOptions): Promise<SendAnswer> {
    return this.publish({ groups: [group] }, event, data, options)
  }

  sendToSession(sessionId: string, event: string, data: unknown, options?: SendOptions): Promise<SendAnswer> {
    return this.publish({ sessions: [sessionId] }, event, data, options)
  }

  sendToConnection(id: string, event: string, data: unknown, options?: SendOptions): Promise<SendAnswer> {
    return this.publish({ connections: [id] }, event, data, options)
  }

  /** Sends to every connection whose metadata holds what `where` names. */
  sendFiltered(where: Where, event: string, data: unknown, options?: SendOptions): Promise<SendAnswer> {
    return this.publish({ all: true, where }, event, data, options)
  }

  /** Sends to all. */
  broadcast(event: string, data: unknown, options?: SendOptions): Promise<SendAnswer> {
    return this.publish({ all: true }, event, data, options)
  }

  /**
   * Appends an event for an audience, and hands it to whom it is for.
   *
   * @throws ProblemError `event_too_large` past `maxEventBytes`; `invalid_request` where its name or data
   *   cannot be sent.
   */
  async publish(
    audience: Audience,
    type: string,
    data: unknown,
    options: SendOptions = {},
  ): Promise<SendAnswer> {
    const { maxEventBytes = DEFAULT_MAX_EVENT_BYTES, source: ownSource = DEFAULT_SOURCE } = this.#options
    const { priority = 'normal', metadata, ephemeral = false, source = ownSource, where } = options
    const event = newEvent(
      { type, data, source, priority, ...(metadata === undefined ? {} : { metadata }) },
      maxEventBytes,
    )
    const narrowed = narrow(audience, where)
    if (ephemeral) {
      const delivered = this.#fanOut.sendEphemeral(event, narrowed, this.#clock.now())
      return { success: true, id: null, delivered }
    }
    const [entry] = await this.#log.append([{ event, audience: narrowed }])
    if (entry === undefined) throw new Error('the log answered an append with nothing')
    return { success: true, id: entry.event.id, delivered: this.#fanOut.takenOf(entry) }
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

  connectionsOfUser(userId: string): Connection[] {
    return [...this.#index.ofUser(userId)]
  }

  connectionsOfGroup(group: string): Connection[] {
    return [...this.#index.ofGroup(group)]
  }

  /** Joins a group on the open stream. Answers whether there is such a connection. */
  addToGroup(connectionId: string, group: string): boolean {
    const connection = this.#index.get(connectionId)
    if (connection === undefined) return false
    this.#index.join(connection, group)
    return true
  }

  /** Leaves a group on the open stream. Answers whether there is such a connection. */
  removeFromGroup(connectionId: string, group: string): boolean {
    const connection = this.#index.get(connectionId)
    if (connection === undefined) return false
    this.#index.leave(connection, group)
    return true
  }

  /** Ends a connection for good; `reason` is told to its reader. Answers whether there was one. */
  close(connectionId: string, reason?: string): boolean {
    const connection = this.#index.get(connectionId)
    if (connection !== undefined) this.#end(connection, 'forced', reason)
    return connection !== undefined
  }

  /** Ends all connections. Answers how many there were. */
  closeAll(reason: DisconnectReason = 'forced', message?: string): number {
    const open = this.connections()
    for (const connection of open) this.#end(connection, reason, message)
    return open.length
  }

  /** Sends a heartbeat to all now. Answers how many outboxes took it. */
  sendHealthCheck(): number {
    const timestamp = this.#clock.now()
    let sent = 0
    for (const { stream } of this.#index.all()) {
      if (stream === undefined || stream.stream.ended || !stream.stream.hasRoomFor(1)) continue
      stream.stream.control('heartbeat', { timestamp }, { id: stream.lastEventId })
      sent += 1
    }
    return sent
  }

  count(): number {
    return this.#index.size
  }

  countForUser(userId: string): number {
    return this.#index.ofUser(userId).size
  }

  /** How many are connected, by user and by group. */
  status(): HubStatus {
    return this.#index.status()
  }

  stats(): HubStats {
    return {
      activeConnections: this.#index.size,
      totalConnections: this.#totalConnections,
      eventsDispatched: this.#fanOut.dispatched,
    }
  }

  /** Ends all connections and sets the counters back. History stays. */
  reset(): void {
    this.closeAll('forced', 'The hub was reset')
    this.#totalConnections = 0
    this.#fanOut.resetCount()
  }

  /** Takes no more connections, and ends those there are, to be resumed elsewhere. The store stays its owner's. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#untail()
    this.closeAll('drain')
  }

  #timeoutOf(options: ConnectOptions): number {
    const { timeoutMs = DEFAULT_STREAM_TIMEOUT_MS, maxTimeoutMs = DEFAULT_STREAM_MAX_TIMEOUT_MS } =
      this.#options
    const asked = options.timeoutMs ?? timeoutMs
    if (asked > 0) return Math.min(asked, maxTimeoutMs)
    throw new ProblemError('invalid_request', `"timeoutMs" must be more than 0; it is ${asked}`)
  }

  #register(options: ConnectOptions): Connection {
    if (this.#closed) {
      throw new ProblemError('draining', 'This hub is closed; connect to another, or try again in a moment', {
        retryAfterS: 1,
      })
    }
    const { connectionId: id = globalThis.crypto.randomUUID() } = options
    const existing = this.#index.get(id)
    if (existing !== undefined) {
      if (this.#options.duplicateConnection !== 'replace') {
        throw new ProblemError(
          'connection_exists',
          `A connection ${JSON.stringify(id)} is open; close it first, or take another id`,
        )
      }
      this.#end(existing, 'replaced')
    }
    const connection = new Connection(id, options, this.#clock.now())
    this.#index.add(connection)
    return connection
  }

  /** Ends it now for the hub, also where its stream does not stand yet and ends as soon as it does. */
  #end(connection: Connection, reason: DisconnectReason, message?: string): void {
    connection.end(reason, message)
    this.#index.remove(connection)
  }

  #onEnd(connection: Connection, end: StreamEnd, { onTimeout, onClose }: ConnectOptions): void {
    this.#index.remove(connection)
    if (end === 'timeout') this.#callbacks.run(connection, () => onTimeout?.(connection))
    this.#callbacks.run(connection, () => onClose?.(connection, end))
  }
}

function cursorOf({ lastEventId }: ConnectOptions) {
  if (lastEventId === undefined) return {}
  const cursor = parseCursor(lastEventId)
  if (cursor === undefined || (cursor.kind === 'event' && cursor.runId !== undefined)) {
    throw new ProblemError(
      'invalid_cursor',
      'lastEventId must be the id of an event of a hub, or milliseconds since 1970',
    )
  }
  return { cursor, cursorText: lastEventId }
}

/** Asked again at every offer and replay: a connection may have left the group it was found by. */
function isFor({ event, audience }: LogEntry, connection: Connection): boolean {
  return connection.wants(event.type) && audience !== undefined && audienceIncludes(audience, connection)
}

/** The audience as it is stored: narrowed further, beside what narrows it already, and a copy of its own. */
function narrow(audience: Audience, where: Where = {}): Audience {
  const own: Audience = JSON.parse(JSON.stringify(audience))
  const already = own.where ?? {}
  const keys = Object.keys(where)
  if (keys.length === 0) return own
  const contradicts = keys.some((key) => Object.hasOwn(already, key) && already[key] !== where[key])
  return contradicts ? {} : { ...own, where: { ...already, ...where } }
}
