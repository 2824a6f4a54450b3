import { type NewEvent, ProblemError } from '@tributary/protocol'

// As `EventType` of the protocol has it: a name that would break out of its line is none.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these three are what may not be there
const TYPE = /^[^\r\n\u0000]{1,256}$/u

/**
 * The event as it is stored: checked, and a copy of its own. A name that no stream can carry would fail at
 * every reader, now and on each replay; data that its publisher changes later would differ between them.
 *
 * @param maxBytes of data and metadata as JSON.
 * @throws ProblemError `event_too_large`; `invalid_request` where the name or the data cannot be sent.
 */
export function newEvent(event: NewEvent, maxBytes: number): NewEvent {
  const { type, data, metadata } = event
  if (!TYPE.test(type)) {
    throw new ProblemError(
      'invalid_request',
      'An event needs a name of 1 to 256 characters without CR, LF or NUL',
    )
  }
  const dataText = toJson('data', data)
  const metadataText = metadata === undefined ? '' : toJson('metadata', metadata)
  const bytes = Buffer.byteLength(dataText) + Buffer.byteLength(metadataText)
  if (bytes > maxBytes) {
    throw new ProblemError('event_too_large', `The event has ${bytes} bytes; at most ${maxBytes} are allowed`)
  }
  return {
    ...event,
    data: JSON.parse(dataText),
    ...(metadata === undefined ? {} : { metadata: JSON.parse(metadataText) }),
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
