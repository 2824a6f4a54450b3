import type { EventLog } from '@tributary/eventlog'
import {
  type Clock,
  type ConnectionStates,
  type DisconnectReason,
  memberTopics,
  ProblemError,
  requireWholeText,
} from '@tributary/protocol'
import {
  HeartbeatFrames,
  type LogStream,
  type ServeOptions,
  type SinkFactory,
  type StreamEnd,
  type StreamServer,
} from '@tributary/sse'
import { Callbacks } from './callbacks.ts'
import { Connection, type ConnectOptions } from './connection.ts'
import { ConnectionIndex } from './connection-index.ts'
import { type ConnectionObserver, NO_OBSERVER } from './connection-observer.ts'
import type { StateTimes } from './connection-state.ts'
import { cursorOption } from './cursor-option.ts'
import { FollowedTopics } from './followed-topics.ts'
import { NO_HUB_METER } from './hub-meter.ts'
import type { HubOptions } from './hub-options.ts'
import { type Admission, connectionExists, type Registrations } from './registrations.ts'
import { timeoutOption } from './timeout-option.ts'
import { UserLimit } from './user-limit.ts'

/** Seconds until a refused reader should try again: by then another node answers, or this one anew. */
const DRAIN_RETRY_AFTER_S = 2

export interface HubConnectionsOptions {
  readonly hub: HubOptions
  readonly log: EventLog
  readonly streams: StreamServer
  readonly clock: Clock
  readonly registrations: Registrations
}

/** Opens and ends the connections of a hub, and counts them. */
export class HubConnections {
  readonly index = new ConnectionIndex()
  readonly userLimit: UserLimit
  readonly #options: HubConnectionsOptions
  readonly #callbacks: Callbacks
  readonly #registrations: Registrations
  readonly #observer: ConnectionObserver
  // Those that have been told why they end, and whose socket is open.
  readonly #leaving = new Set<Connection>()
  readonly #times: StateTimes
  #opened = 0
  #refused = 0
  #droppedOfEnded = 0
  #isClosed = false

  constructor(options: HubConnectionsOptions) {
    this.#options = options
    const { clock, streams } = options
    this.#registrations = options.registrations
    this.#observer = options.hub.observer ?? NO_OBSERVER
    this.#times = { now: () => clock.now(), heartbeatMs: streams.heartbeatMs }
    this.userLimit = new UserLimit(options.hub)
    this.#callbacks = new Callbacks(options.hub.onCallbackError)
  }

  get streams(): StreamServer {
    return this.#options.streams
  }

  get closed(): boolean {
    return this.#isClosed
  }

  /** Those that were ever opened. */
  get opened(): number {
    return this.#opened
  }

  /** Those that were not to be. */
  get refused(): number {
    return this.#refused
  }

  /** Those that have been told why they end, and whose socket is not closed yet. */
  leaving(): IterableIterator<Connection> {
    return this.#leaving.values()
  }

  states(): ConnectionStates {
    const states = { connecting: 0, connected: 0, idle: 0, stale: 0, disconnecting: this.#leaving.size }
    for (const connection of this.index.all()) states[connection.state] += 1
    return states
  }

  /** Events that slow readers went without. */
  get eventsDropped(): number {
    let dropped = this.#droppedOfEnded
    for (const { stream } of this.index.all()) dropped += stream?.stream.eventsDropped ?? 0
    return dropped
  }

  /** @throws as `Hub.connect`. */
  async open(options: ConnectOptions, sink: SinkFactory): Promise<Connection> {
    let connection: Connection | undefined
    try {
      const cursor = cursorOption(options.lastEventId)
      const timeoutMs = timeoutOption(options.timeoutMs, this.#options.hub)
      connection = this.#register(options)
      const topics = memberTopics(connection)
      requireWholeText(topics)
      const followed = new FollowedTopics(this.#options.log, topics)
      connection.follow(followed)
      // Both at once: a connect waits for others no longer than it must.
      const [admission] = await Promise.all([this.#admit(connection), followed.ready])
      const stream = await this.#serve(connection, options, { ...cursor, timeoutMs, sink })
      this.#begin(connection, admission, options, stream)
      return connection
    } catch (error) {
      if (connection !== undefined) {
        this.index.remove(connection)
        this.#registrations.remove(connection)
        connection.followed?.end()
        connection.slot?.release()
      }
      this.#refused += 1
      const { meter = NO_HUB_METER } = this.#options.hub
      meter.refused(error instanceof ProblemError ? error.code : 'internal_error')
      throw error
    }
  }

  async #admit(connection: Connection): Promise<Admission> {
    const admission = await this.#registrations.add(connection)
    if (!this.#observer.wantsPresence) admission.tellJoins()
    return admission
  }

  #serve(
    connection: Connection,
    options: ConnectOptions,
    asked: Pick<ServeOptions, 'cursor' | 'cursorText' | 'timeoutMs' | 'sink'>,
  ): Promise<LogStream> {
    const { log, streams } = this.#options
    return streams.serve({
      ...asked,
      log,
      connectionId: connection.connectionId,
      startAt: 'head',
      form: connection.form,
      overflow: 'disconnect',
      follow: false,
      topics: () => memberTopics(connection),
      accepts: (entry) => connection.accepts(entry),
      ...(connection.slot === undefined ? {} : { slot: connection.slot }),
      credential: connection.credential,
      onError: (error) => this.#callbacks.run(connection, () => options.onError?.(error, connection)),
    })
  }

  #begin(connection: Connection, admission: Admission, options: ConnectOptions, stream: LogStream): void {
    // Nobody is refused because it cannot be told.
    const told = this.#observer.connected(admission.entry).catch(() => undefined)
    // Who observes both hears first that somebody is there.
    if (this.#observer.wantsPresence) void told.then(admission.tellJoins)
    stream.onEnd((end) => {
      this.#observer.disconnected(admission.entry, end).catch(() => undefined)
      this.#onEnd(connection, end, options)
    })
    connection.attach(stream)
    // It may have been refreshed while its stream was being opened.
    if (connection.credential !== options.credential)
      this.#options.streams.renew(stream, connection.credential)
    stream.start()
    this.#opened += 1
  }

  /** Ends it now for the hub, also where its stream does not stand yet and ends as soon as it does. */
  end(connection: Connection, reason: DisconnectReason, message?: string): void {
    connection.end(reason, message)
    this.index.remove(connection)
    this.#registrations.remove(connection)
  }

  /** The same of several, in their order. Answers how many there were. */
  endEach(connections: readonly Connection[], reason: DisconnectReason, message?: string): number {
    for (const connection of connections) this.end(connection, reason, message)
    return connections.length
  }

  /** The log is another, or has lost what it told: each has its place judged anew. */
  rewind(): void {
    for (const { stream } of this.index.all()) stream?.rewind()
  }

  /** Takes no more. */
  close(): void {
    this.#isClosed = true
  }

  /** Sends a heartbeat to all now. Answers how many outboxes took it. */
  beat(): number {
    const frames = new HeartbeatFrames()
    const timestamp = this.#options.clock.now()
    let sent = 0
    for (const { stream } of this.index.all()) {
      if (stream === undefined || stream.stream.ended || !stream.stream.hasRoomFor(1)) continue
      stream.heartbeat(frames, timestamp)
      sent += 1
    }
    return sent
  }

  resetCount(): void {
    this.#opened = 0
    this.#refused = 0
    this.#droppedOfEnded = 0
  }

  #register(options: ConnectOptions): Connection {
    if (this.#isClosed) {
      throw new ProblemError('draining', 'This hub takes no more connections; try again in a moment.', {
        retryAfterS: DRAIN_RETRY_AFTER_S,
      })
    }
    const { connectionId: id = globalThis.crypto.randomUUID(), userId, address } = options
    const existing = this.index.get(id)
    if (existing !== undefined && this.#options.hub.duplicateConnection !== 'replace') {
      throw connectionExists(id)
    }
    // Nobody is ended for one that is refused after all.
    const displaced = this.userLimit.displaced(userId, this.index, existing)
    const slot = this.#options.streams.admit({
      ...(address === undefined ? {} : { address }),
      instead: displaced.flatMap((connection) => connection.slot ?? []),
    })
    for (const connection of displaced) this.end(connection, 'replaced')
    const connection = new Connection(id, options, this.#times, slot)
    this.index.add(connection)
    return connection
  }

  #leave(connection: Connection): void {
    this.#leaving.add(connection)
    connection.stream?.stream.onClosed(() => this.#leaving.delete(connection))
  }

  #onEnd(connection: Connection, end: StreamEnd, { onTimeout, onClose }: ConnectOptions): void {
    this.#droppedOfEnded += connection.stream?.stream.eventsDropped ?? 0
    this.index.remove(connection)
    this.#registrations.remove(connection)
    connection.followed?.end()
    if (end !== 'gone') this.#leave(connection)
    if (end === 'timeout') this.#callbacks.run(connection, () => onTimeout?.(connection))
    this.#callbacks.run(connection, () => onClose?.(connection, end))
  }
}
