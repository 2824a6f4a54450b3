import {
  isControlEvent,
  isPresenceEvent,
  type Metadata,
  type NewEvent,
  type Priority,
  ProblemError,
} from '@tributary/protocol'

// As `EventType` of the protocol has it: a name that would break out of its line is none.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these three are what may not be there
const TYPE = /^[^\r\n\u0000\ud800-\udfff]{1,256}$/u

/** An event as it is appended and sent: its data as JSON, which nothing done to an object later can change. */
export interface CheckedEvent {
  readonly type: string
  readonly json: string
  readonly source: string
  readonly priority: Priority
  readonly metadata?: Metadata
  readonly conflate?: string
}

/**
 * Checks an event before it is stored: one that no stream can carry would fail at every reader, now and on
 * each replay.
 *
 * @param maxBytes of data and metadata as JSON.
 * @throws ProblemError `event_too_large`; `invalid_request` where the name or the data cannot be sent, or the
 *   name is a control frame's.
 */
export function newEvent(event: NewEvent, maxBytes: number): CheckedEvent {
  const { type, source, priority = 'normal', metadata, conflate } = event
  if (!TYPE.test(type)) {
    throw new ProblemError(
      'invalid_request',
      'An event needs a name of 1 to 256 characters without CR, LF, NUL or half of a surrogate pair',
    )
  }
  if (isControlEvent(type) || isPresenceEvent(type)) {
    throw new ProblemError(
      'invalid_request',
      `${JSON.stringify(type)} is what a stream says of itself; give the event another name`,
    )
  }
  const json = event.json ?? toJson('data', event.data)
  const metadataJson = metadata === undefined ? '' : toJson('metadata', metadata)
  const bytes = Buffer.byteLength(json) + Buffer.byteLength(metadataJson)
  if (bytes > maxBytes) {
    throw new ProblemError('event_too_large', `The event has ${bytes} bytes; at most ${maxBytes} are allowed`)
  }
  return {
    type,
    json,
    source,
    priority,
    ...(metadata === undefined ? {} : { metadata: JSON.parse(metadataJson) }),
    ...(conflate === undefined ? {} : { conflate }),
  }
}

function toJson(what: 'data' | 'metadata', value: unknown): string {
  try {
    // What JSON has no word for, as `undefined`, is null.
    return JSON.stringify(value) ?? 'null'
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ProblemError('invalid_request', `The event's ${what} cannot be sent as JSON: ${why}`, { cause })
  }
}
