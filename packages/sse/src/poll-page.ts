import type { LogEntry } from '@tributary/eventlog'
import { type Event, type GapData, type Naming, type PollAnswer, wireName } from '@tributary/protocol'
import { envelopeJson } from './entry-frame.ts'

export interface PollPageParts {
  readonly entries: readonly LogEntry[]
  readonly cursor: string
  readonly gap: GapData | undefined
  readonly hasMore: boolean
  readonly ended: boolean
  readonly naming: Naming
}

/** What a poll is answered: `PollAnswer` of the protocol, as an object or as JSON. */
export class PollPage {
  readonly entries: readonly LogEntry[]
  /** Where the reader has come to, also where no event was for it. */
  readonly cursor: string
  readonly gap: GapData | undefined
  /** Whether there is more at once. */
  readonly hasMore: boolean
  /** Whether the log has ended, and the reader has all of it. */
  readonly ended: boolean
  readonly #naming: Naming

  constructor({ entries, cursor, gap, hasMore, ended, naming }: PollPageParts) {
    this.entries = entries
    this.cursor = cursor
    this.gap = gap
    this.hasMore = hasMore
    this.ended = ended
    this.#naming = naming
  }

  /** The events, in order. Their data is parsed anew each time. */
  get events(): Event[] {
    return this.entries.map(({ event }) => ({
      ...event,
      type: wireName(event.type, this.#naming),
      data: event.data,
    }))
  }

  toJSON(): PollAnswer {
    const { events, cursor, gap, hasMore, ended } = this
    return { events, cursor, ...(gap === undefined ? {} : { gap }), hasMore, ended }
  }

  /** The answer as text, in which each event's data is what its log has, letter by letter. */
  get json(): string {
    const { entries, cursor, gap, hasMore, ended } = this
    const events = entries.map(({ event }) =>
      envelopeJson(event, wireName(event.type, this.#naming), event.json),
    )
    return `{"events":[${events.join(',')}],${JSON.stringify({ cursor, gap, hasMore, ended }).slice(1)}`
  }
}
