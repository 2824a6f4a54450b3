import type { EventLog, EventStore, LogEntry, Retention } from '@tributary/eventlog'
import {
  type Audience,
  audienceIncludes,
  audienceTopics,
  type Clock,
  type DisconnectReason,
  EVENT_VERSION,
  type HubStatus,
  type Metadata,
  memberTopics,
  type Priority,
  ProblemError,
  parseCursor,
  type SendAnswer,
  systemClock,
  type Topic,
  type Where,
} from '@tributary/protocol'
import { DEFAULT_FORM, eventFrame, type StreamEnd, StreamServer, type StreamSink } from '@tributary/sse'
import { Connection, type ConnectOptions } from './connection.ts'
import { ConnectionIndex } from './connection-index.ts'

export const DEFAULT_HISTORY_MAX_EVENTS = 1_000
export const DEFAULT_HISTORY_MAX_AGE_MS = 300_000
export const DEFAULT_HISTORY_USER_MAX_AGE_MS = 86_400_000
export const DEFAULT_STREAM_TIMEOUT_MS = 300_000
export const DEFAULT_STREAM_MAX_TIMEOUT_MS = 3_600_000
export const DEFAULT_MAX_EVENT_BYTES = 131_072

export interface HubOptions {
  /** Where its log lives. */
  readonly store: EventStore
  /** Names its log in the store. Default `hub`. */
  readonly namespace?: string
  /** Default: the machine's. */
  readonly clock?: Clock
  /** What heartbeats, bounds and timeouts its streams share. Default: one of its own. */
  readonly streams?: StreamServer
  /** The `source` of events that name none. Default `gateway`. */
  readonly source?: string
  /** What happens to a second connection of the same id. Default `refuse`. */
  readonly duplicateConnection?: 'refuse' | 'replace'
  /** Milliseconds. Defaults 5 minutes and 1 hour. */
  readonly timeoutMs?: number
  readonly maxTimeoutMs?: number
  /** Bytes of an event's JSON. Default 131,072. */
  readonly maxEventBytes?: number
  /** Events kept of a topic. Default 1,000. */
  readonly historyMaxEvents?: number
  /** How long they are kept, in ms. Defaults 5 minutes, and a day for users. */
  readonly historyMaxAgeMs?: number
  readonly historyUserMaxAgeMs?: number
}

/** What a publisher may say besides the event's name and data. */
export interface SendOptions {
  readonly priority?: Priority
  readonly metadata?: Metadata
  /** Neither stored nor resumed, without an id. Default false. */
  readonly ephemeral?: boolean
  readonly source?: string
  /** Narrows whom it is for. */
  readonly where?: Where
}

export interface HubStats {
  readonly activeConnections: number
  readonly totalConnections: number
  readonly eventsDispatched: number
}

/** The open connections, and the fan-out of the hub log to them. */
export class Hub implements AsyncDisposable {
  readonly #options: HubOptions
  readonly #log: EventLog
  readonly #clock: Clock
  readonly #streams: StreamServer
  readonly #index = new ConnectionIndex()
  readonly #untail: () => void
  // How many took an entry; noted by the fan-out, read by the publisher once its append is through.
  readonly #taken = new WeakMap<LogEntry, number>()
  #totalConnections = 0
  #eventsDispatched = 0

  private constructor(options: HubOptions, log: EventLog) {
    this.#options = options
    this.#log = log
    this.#clock = options.clock ?? systemClock
    this.#streams = options.streams ?? new StreamServer({ clock: this.#clock })
    this.#untail = log.tail((entry) => this.#fanOut(entry))
  }

  /** Opens the hub over its log in the store. */
  static async open(options: HubOptions): Promise<Hub> {
    const {
      store,
      namespace = 'hub',
      historyMaxEvents: maxEvents = DEFAULT_HISTORY_MAX_EVENTS,
      historyMaxAgeMs = DEFAULT_HISTORY_MAX_AGE_MS,
      historyUserMaxAgeMs = DEFAULT_HISTORY_USER_MAX_AGE_MS,
    } = options
    const retention = (topic: Topic): Retention =>
      topic.startsWith('user:')
        ? { maxEvents, maxAgeMs: historyUserMaxAgeMs }
        : { maxEvents, maxAgeMs: historyMaxAgeMs }
    return new Hub(options, await store.open(namespace, { retention }))
  }

  /**
   * Opens a connection on a sink: `connection`, then a gap where there is one, replay, live.
   *
   * @throws ProblemError `connection_exists` where its id is taken and the hub refuses a second;
   *   `invalid_cursor` where `lastEventId` is none.
   */
  async connect(options: ConnectOptions, sink: () => StreamSink): Promise<Connection> {
    const { lastEventId } = options
    const cursor = lastEventId === undefined ? undefined : parseCursor(lastEventId)
    if (lastEventId !== undefined && cursor === undefined) {
      throw new ProblemError('invalid_cursor', 'lastEventId must be an event id, or milliseconds since 1970')
    }
    const connection = this.#register(options)
    try {
      const { timeoutMs = DEFAULT_STREAM_TIMEOUT_MS, maxTimeoutMs = DEFAULT_STREAM_MAX_TIMEOUT_MS } =
        this.#options
      const stream = await this.#streams.serve({
        log: this.#log,
        sink,
        connectionId: connection.connectionId,
        ...(cursor === undefined || lastEventId === undefined ? {} : { cursor, cursorText: lastEventId }),
        startAt: 'head',
        form: connection.form,
        timeoutMs: Math.min(options.timeoutMs ?? timeoutMs, maxTimeoutMs),
        overflow: 'disconnect',
        follow: false,
        topics: () => memberTopics(connection),
        accepts: (entry) => this.#isFor(entry, connection),
        onError: (error) => options.onError?.(error, connection),
      })
      connection.attach(stream)
      stream.onEnd((end) => this.#onEnd(connection, end, options))
      stream.start()
    } catch (error) {
      this.#index.remove(connection)
      throw error
    }
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
    return this.publish({ all: true }, event, data, { ...options, where })
  }

  /** Sends to all. */
  broadcast(event: string, data: unknown, options?: SendOptions): Promise<SendAnswer> {
    return this.publish({ all: true }, event, data, options)
  }

  /**
   * Appends an event for an audience, and hands it to whom it is for.
   *
   * @throws ProblemError `event_too_large` past `maxEventBytes`.
   */
  async publish(
    audience: Audience,
    type: string,
    data: unknown,
    options: SendOptions = {},
  ): Promise<SendAnswer> {
    const {
      priority = 'normal',
      metadata,
      ephemeral = false,
      source = this.#options.source ?? 'gateway',
    } = options
    this.#checkSize(data, metadata)
    const narrowed = options.where === undefined ? audience : { ...audience, where: options.where }
    const event = {
      type,
      data: data ?? null,
      source,
      priority,
      ...(metadata === undefined ? {} : { metadata }),
    }
    if (ephemeral) {
      const timestamp = this.#clock.now()
      const frame = { ...event, id: null, timestamp, version: EVENT_VERSION } as const
      return { success: true, id: null, delivered: this.#sendEphemeral(frame, narrowed) }
    }
    const [entry] = await this.#log.append([{ event, audience: narrowed }])
    if (entry === undefined) throw new Error('the log answered an append with nothing')
    return { success: true, id: entry.event.id, delivered: this.#taken.get(entry) ?? 0 }
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
    connection?.end('forced', reason)
    return connection !== undefined
  }

  /** Ends all connections. Answers how many there were. */
  closeAll(reason: DisconnectReason = 'forced', message?: string): number {
    const open = this.connections()
    for (const connection of open) connection.end(reason, message)
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

  status(): HubStatus {
    return this.#index.status()
  }

  stats(): HubStats {
    return {
      activeConnections: this.#index.size,
      totalConnections: this.#totalConnections,
      eventsDispatched: this.#eventsDispatched,
    }
  }

  /** Ends all connections and sets the counters back. History stays. */
  reset(): void {
    this.closeAll('forced', 'The hub was reset')
    this.#totalConnections = 0
    this.#eventsDispatched = 0
  }

  /** Stops the fan-out and ends all connections, to be resumed elsewhere. The store stays its owner's. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#untail()
    this.closeAll('drain')
  }

  #register(options: ConnectOptions): Connection {
    const { connectionId: id = globalThis.crypto.randomUUID(), userId, sessionId, events } = options
    const existing = this.#index.get(id)
    if (existing !== undefined) {
      if (this.#options.duplicateConnection !== 'replace') {
        throw new ProblemError(
          'connection_exists',
          `A connection ${id} is open; close it first, or take another id`,
        )
      }
      existing.end('replaced')
    }
    const connection = new Connection({
      id,
      userId,
      sessionId,
      groups: options.groups ?? [],
      roles: options.roles ?? [],
      metadata: options.metadata ?? {},
      events,
      form: options.form ?? DEFAULT_FORM,
      connectedAt: this.#clock.now(),
    })
    this.#index.add(connection)
    this.#totalConnections += 1
    return connection
  }

  #onEnd(connection: Connection, end: StreamEnd, { onTimeout, onClose }: ConnectOptions): void {
    this.#index.remove(connection)
    if (end === 'timeout') onTimeout?.(connection)
    onClose?.(connection, end)
  }

  #fanOut(entry: LogEntry): void {
    let taken = 0
    // Who is under several of the topics is offered it several times, and takes it once: a reader knows its place.
    for (const topic of entry.topics) {
      for (const { stream } of this.#index.under(topic)) if (stream?.offer(entry)) taken += 1
    }
    this.#eventsDispatched += taken
    this.#taken.set(entry, taken)
  }

  #isFor({ event, audience }: LogEntry, connection: Connection): boolean {
    if (!connection.wants(event.type)) return false
    // Being under one of its topics is enough, unless the audience is narrowed.
    const narrowed = audience?.only !== undefined || audience?.where !== undefined
    return !narrowed || audienceIncludes(audience, connection)
  }

  #sendEphemeral(event: Parameters<typeof eventFrame>[0], audience: Audience): number {
    const members = new Set<Connection>()
    for (const topic of audienceTopics(audience)) {
      for (const connection of this.#index.under(topic)) members.add(connection)
    }
    const frames = { payload: undefined, envelope: undefined } as Record<string, Uint8Array | undefined>
    let taken = 0
    for (const connection of members) {
      const stream = connection.stream?.stream
      if (stream === undefined || stream.ended || !connection.wants(event.type)) continue
      if (!audienceIncludes(audience, connection)) continue
      frames[connection.form.format] ??= eventFrame(event, connection.form)
      const frame = frames[connection.form.format] ?? eventFrame(event, connection.form)
      if (stream.hasRoomFor(frame.byteLength)) {
        stream.send(frame)
        taken += 1
      } else stream.end('slow_consumer')
    }
    this.#eventsDispatched += taken
    return taken
  }

  #checkSize(data: unknown, metadata: Metadata | undefined): void {
    const maxBytes = this.#options.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES
    const bytes = Buffer.byteLength(JSON.stringify([data, metadata]))
    if (bytes > maxBytes) {
      throw new ProblemError(
        'event_too_large',
        `The event has ${bytes} bytes; at most ${maxBytes} are allowed`,
      )
    }
  }
}
