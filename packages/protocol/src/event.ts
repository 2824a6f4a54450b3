import Type, { type Static } from 'typebox'

/** The `version` of every event. */
export const EVENT_VERSION = '1'

/** How soon an event matters. `low` may be dropped for a slow reader, and then that reader is told. */
export const Priority = Type.Enum(['low', 'normal', 'high', 'critical'], {
  description: 'How soon the event matters. `low` may be dropped for a slow reader, who is then told.',
})
export type Priority = Static<typeof Priority>

/**
 * An event's name on the wire, SSE's `event:`. Holds no CR, LF or NUL, or it could forge fields; and no half of a
 * surrogate pair, which UTF-8 has no word for.
 */
export const EventType = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: '^[^\\r\\n\\u0000\\ud800-\\udfff]+$',
  description: 'The name of the event: 1 to 256 characters without CR, LF, NUL or half of a surrogate pair.',
})

/** What an event is the latest of. */
export const ConflateKey = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: '^[^\\ud800-\\udfff]+$',
  description:
    'What the event is the latest of, as `price:ACME`: a reader who lags behind gets the newest of those that wait.',
})

export const Metadata = Type.Record(Type.String(), Type.Unknown(), {
  description: 'Anything the publisher adds; `correlationId` travels with all that follows from the event.',
})
export type Metadata = { correlationId?: string } & Record<string, unknown>

/** An event as a client sees it with `?format=envelope`. */
export const EventEnvelope = Type.Object(
  {
    id: Type.Union([Type.String(), Type.Null()], { description: 'Null for an ephemeral event.' }),
    type: EventType,
    data: Type.Unknown({ description: 'Any JSON.' }),
    timestamp: Type.Number({ description: 'Milliseconds since 1970.' }),
    priority: Priority,
    source: Type.String({ description: 'Who produced it: a node, a publisher or an upstream.' }),
    version: Type.Literal(EVENT_VERSION),
    metadata: Type.Optional(Metadata),
  },
  { title: 'Event' },
)

/** An event of a log. */
export interface Event<T = unknown> {
  readonly id: string
  readonly type: string
  readonly data: T
  readonly timestamp: number
  readonly priority: Priority
  readonly source: string
  readonly version: typeof EVENT_VERSION
  readonly metadata?: Metadata
}

/** What an event says: a value, or its JSON from whoever has it already, so that nobody makes it again. */
export type EventData<T = unknown> =
  | { readonly data: T; readonly json?: undefined }
  | { readonly json: string; readonly data?: undefined }

/** An event before its log has given it an id and a time. */
export type NewEvent<T = unknown> = EventData<T> & {
  readonly type: string
  readonly source: string
  /** Default `normal`. */
  readonly priority?: Priority
  /** What it is the latest of, as `price:ACME`: for a reader who lags behind it takes the place of an earlier one. */
  readonly conflate?: string
  readonly metadata?: Metadata
}
