import type { LogEntry } from '@tributary/eventlog'
import {
  type AudienceMember,
  audienceIncludes,
  type ConnectionState,
  type ConnectionView,
  type DisconnectReason,
} from '@tributary/protocol'
import {
  DEFAULT_FORM,
  type FrameForm,
  type LogStream,
  type StreamCredential,
  type StreamEnd,
  type StreamSlot,
} from '@tributary/sse'
import { connectionState, type StateTimes } from './connection-state.ts'
import type { FollowedTopics } from './followed-topics.ts'

/** What a caller says of a connection when it opens. */
export interface ConnectOptions {
  /** The caller's own id of it. Default: a random one. */
  readonly connectionId?: string
  readonly userId?: string
  /** The address of its reader, for the limit of streams from one. Default: none, which no such limit holds for. */
  readonly address?: string
  /** The client's own id across connections. */
  readonly sessionId?: string
  readonly groups?: readonly string[]
  readonly roles?: readonly string[]
  /** What `where` is compared with. Only from who is trusted: it decides what the reader gets. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /**
   * What its user came with: the stream ends with that, as `token_expired`, and says so before, by `auth_expiring`.
   * `{expiresAt}` alone will do; by a `tokenId` it can be closed. Default: nothing, which has no end.
   */
  readonly credential?: StreamCredential
  /** Milliseconds until the stream ends, to be resumed; more than 0. Default and maximum as the hub was given. */
  readonly timeoutMs?: number
  /** Which groups it may join later, as `mayJoin` answers. Default: all. */
  readonly mayJoin?: (group: string) => boolean
  /** Whether it is told who comes into its groups, and who leaves them. Default: no. */
  readonly presence?: boolean
  /** Only these types of event. Control frames always come. Default: all. */
  readonly events?: readonly string[]
  readonly form?: FrameForm
  /** The cursor that the reader presents, as text. */
  readonly lastEventId?: string
  /** Called when its time is over, before `onClose`. */
  readonly onTimeout?: (connection: Connection) => void | Promise<void>
  /** Called where the log could not be read, before `onClose`. */
  readonly onError?: (error: unknown, connection: Connection) => void | Promise<void>
  /** Called once, whatever ended it. By then the hub no longer has it. */
  readonly onClose?: (connection: Connection, end: StreamEnd) => void | Promise<void>
}

/** What a connection has from here on, where its user has come with another credential. What is left out stays. */
export interface ConnectionRights {
  readonly roles?: readonly string[]
  /** In place of all that it had. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Which of its groups it may stay in, and which it may join; it leaves the others. Default: as before. */
  readonly mayJoin?: (group: string) => boolean
  readonly credential?: StreamCredential
}

/** One open connection of the hub: who it is for, and its stream. */
export class Connection implements AudienceMember {
  readonly connectionId: string
  readonly userId: string | undefined
  readonly sessionId: string | undefined
  readonly groups: ReadonlySet<string>
  readonly presence: boolean
  readonly form: FrameForm
  /** Milliseconds since 1970. */
  readonly connectedAt: number
  /** Its place among the streams there may be; none for who only polls. */
  readonly slot: StreamSlot | undefined
  readonly #address: string | undefined
  readonly #times: StateTimes
  readonly #groups: Set<string>
  readonly #events: ReadonlySet<string> | undefined
  #roles: ReadonlySet<string>
  #metadata: Readonly<Record<string, unknown>>
  #credential: StreamCredential | undefined
  #mayJoin: (group: string) => boolean
  #stream: LogStream | undefined
  #followed: FollowedTopics | undefined
  // Why it ends, where that was said before its stream stood.
  #ending: { readonly reason: DisconnectReason; readonly message: string | undefined } | undefined

  constructor(id: string, options: ConnectOptions, times: StateTimes, slot?: StreamSlot) {
    const { userId, sessionId, groups = [], roles = [], metadata = {}, events, form = DEFAULT_FORM } = options
    this.connectionId = id
    this.userId = userId
    this.sessionId = sessionId
    this.#groups = new Set(groups)
    this.groups = this.#groups
    this.presence = options.presence ?? false
    this.#roles = new Set(roles)
    this.#metadata = metadata
    this.#credential = options.credential
    this.#mayJoin = options.mayJoin ?? (() => true)
    this.#events = events === undefined ? undefined : new Set(events)
    this.form = form
    this.connectedAt = times.now()
    this.slot = slot
    this.#address = options.address
    this.#times = times
  }

  get roles(): ReadonlySet<string> {
    return this.#roles
  }

  get metadata(): Readonly<Record<string, unknown>> {
    return this.#metadata
  }

  /** What its user came with, or came with last. */
  get credential(): StreamCredential | undefined {
    return this.#credential
  }

  /** For the hub: its stream stands. It ends here where it was ended before. */
  attach(stream: LogStream): void {
    this.#stream = stream
    if (this.#ending !== undefined) stream.end(this.#ending.reason, this.#ending.message)
  }

  /** For the hub: what the log follows for it, from here on its own to end. */
  follow(followed: FollowedTopics): void {
    this.#followed = followed
  }

  /** For the hub. */
  get followed(): FollowedTopics | undefined {
    return this.#followed
  }

  /** `undefined` for the moment in which it is being opened. */
  get stream(): LogStream | undefined {
    return this.#stream
  }

  /** Whether what its user came with, or came with last, lets it join a group. Nothing else is asked this. */
  mayJoin(group: string): boolean {
    return this.#mayJoin(group)
  }

  wants(eventType: string): boolean {
    return this.#events === undefined || this.#events.has(eventType)
  }

  /** Whether an entry is for it. Asked at every offer and replay: it may have left the group it was found by. */
  accepts({ event, audience }: LogEntry): boolean {
    return this.wants(event.type) && audience !== undefined && audienceIncludes(audience, this)
  }

  /** For the hub, which keeps the index. */
  addGroup(group: string): void {
    this.#groups.add(group)
  }

  /** For the hub, which keeps the index. */
  removeGroup(group: string): void {
    this.#groups.delete(group)
  }

  /** For the hub, which keeps the index. */
  setRights({ roles, metadata, credential, mayJoin = this.#mayJoin }: ConnectionRights): void {
    if (roles !== undefined) this.#roles = new Set(roles)
    this.#metadata = metadata ?? this.#metadata
    this.#credential = credential ?? this.#credential
    this.#mayJoin = mayJoin
    for (const group of this.#groups) if (!mayJoin(group)) this.#groups.delete(group)
  }

  /** Tells its reader why, and ends; also one that is still being opened. */
  end(reason: DisconnectReason, message?: string): void {
    if (this.#stream === undefined) {
      this.#ending ??= { reason, message }
      this.slot?.release()
    } else this.#stream.end(reason, message)
  }

  get state(): ConnectionState {
    return this.#stream === undefined && this.#ending !== undefined
      ? 'disconnecting'
      : connectionState(this.#stream, this.#times)
  }

  view(): ConnectionView {
    const stream = this.#stream?.stream
    return {
      connectionId: this.connectionId,
      ...(this.userId === undefined ? {} : { userId: this.userId }),
      ...(this.sessionId === undefined ? {} : { sessionId: this.sessionId }),
      groups: [...this.groups],
      roles: [...this.roles],
      metadata: { ...this.metadata },
      ...(this.#address === undefined ? {} : { address: this.#address }),
      transport: 'sse',
      state: this.state,
      connectedAt: this.connectedAt,
      ...(this.#credential?.expiresAt === undefined ? {} : { expiresAt: this.#credential.expiresAt }),
      lastActivityAt: stream?.lastSentAt ?? this.connectedAt,
      ...(this.#stream === undefined ? {} : { lastEventId: this.#stream.lastEventId }),
      eventsSent: stream?.eventsSent ?? 0,
      bytesSent: stream?.bytesSent ?? 0,
      eventsDropped: stream?.eventsDropped ?? 0,
      outbox: { bytes: stream?.pendingBytes ?? 0, events: stream?.pendingEvents ?? 0 },
    }
  }
}
