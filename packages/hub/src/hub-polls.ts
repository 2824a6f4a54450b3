import type { EventLog, LogEntry } from '@tributary/eventlog'
import { memberTopics, type Naming, requireWholeText, type Topic } from '@tributary/protocol'
import type { PollPage, StreamServer, WaitingPolls } from '@tributary/sse'
import { Connection, type ConnectOptions } from './connection.ts'
import { NO_TIMES } from './connection-state.ts'
import { cursorOption } from './cursor-option.ts'

/** Who polls, and for what. It gets what a connection of the same would, but nothing ephemeral. */
export interface PollOptions
  extends Pick<
    ConnectOptions,
    | 'userId'
    | 'sessionId'
    | 'groups'
    | 'roles'
    | 'presence'
    | 'metadata'
    | 'events'
    | 'lastEventId'
    | 'credential'
  > {
  /** The most events in the answer. Default 100. */
  readonly limit?: number
  /** How long it may wait for the first event, in ms. Default 0. */
  readonly waitMs?: number
  /** Aborted where nobody waits for the answer any more. */
  readonly signal?: AbortSignal
  /** The names of the events. Default `standard`. */
  readonly naming?: Naming
}

export interface HubPollsOptions {
  readonly log: EventLog
  readonly streams: StreamServer
  readonly maxWaiting: number | undefined
  /** Has it told who comes into groups, and who leaves them. */
  readonly watch: (groups: readonly string[]) => Promise<void>
}

/** The readers of the hub's log that come for a page at a time. */
export class HubPolls {
  readonly #log: EventLog
  readonly #watch: HubPollsOptions['watch']
  readonly #streams: StreamServer
  readonly #waiting: WaitingPolls
  readonly #listeners = new Map<Topic, Set<(entry: LogEntry) => void>>()

  constructor({ log, streams, maxWaiting, watch }: HubPollsOptions) {
    this.#log = log
    this.#watch = watch
    this.#streams = streams
    this.#waiting = streams.createWaitingPolls(maxWaiting)
  }

  /** Polls that wait for an event. */
  get waiting(): number {
    return this.#waiting.size
  }

  async poll({ lastEventId, limit, waitMs, signal, naming, ...who }: PollOptions): Promise<PollPage> {
    const cursor = cursorOption(lastEventId)
    // Nobody can name it: it is no open connection, and its id is no name.
    const member = new Connection('', who, NO_TIMES)
    const topics = memberTopics(member)
    requireWholeText(topics)
    if (member.presence) await this.#watch([...member.groups])
    const following = this.#log.follow(topics)
    try {
      if (following.ready !== undefined) await following.ready
      return await this.#streams.poll({
        log: this.#log,
        ...cursor,
        startAt: 'head',
        limit,
        waitMs,
        waiting: this.#waiting,
        credential: who.credential,
        topics,
        accepts: (entry) => member.accepts(entry),
        tail: (listener) => this.#listen(topics, listener),
        ...(signal === undefined ? {} : { signal }),
        ...(naming === undefined ? {} : { naming }),
      })
    } finally {
      following.end()
    }
  }

  /** Tells those who wait for one of its topics of an entry that was just appended. */
  tell(entry: LogEntry): void {
    for (const topic of entry.topics) for (const listener of this.#listeners.get(topic) ?? []) listener(entry)
  }

  /** Answers all who wait now. */
  endAll(): void {
    this.#waiting.endAll()
  }

  /** From here on nobody waits; the answer are those who do, each to be called once. */
  close(): (() => void)[] {
    return this.#waiting.close()
  }

  // Ten thousand that wait must not be asked at each event for one of them.
  #listen(topics: readonly Topic[], listener: (entry: LogEntry) => void): () => void {
    for (const topic of topics) {
      let listeners = this.#listeners.get(topic)
      if (listeners === undefined) {
        listeners = new Set()
        this.#listeners.set(topic, listeners)
      }
      listeners.add(listener)
    }
    return () => {
      for (const topic of topics) {
        const listeners = this.#listeners.get(topic)
        if (listeners?.delete(listener) && listeners.size === 0) this.#listeners.delete(topic)
      }
    }
  }
}
