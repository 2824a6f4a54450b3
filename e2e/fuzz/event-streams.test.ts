import { EventTooLongError, encodeFrame, SseDecoder, type WireEvent } from '@tributary/protocol'
import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { expect } from 'vitest'
import { fuzz } from './fuzz.ts'

const MAX_CHARS = 4_096
const encode = (text: string) => new TextEncoder().encode(text)

/** All that a decoder says of bytes that come in these pieces. */
function decoded(pieces: readonly Uint8Array[], maxEventChars?: number): unknown[] {
  const said: unknown[] = []
  const decoder = new SseDecoder({
    onEvent: (event) => said.push(event),
    onId: (id) => said.push(['id', id]),
    onRetry: (ms) => said.push(['retry', ms]),
    onComment: (comment) => said.push(['comment', comment]),
    ...(maxEventChars === undefined ? {} : { maxEventChars }),
  })
  for (const piece of pieces) decoder.feed(piece)
  return said
}

/** Bytes cut at these places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

/** Text that is nearly a stream: fields, line ends and odd letters by turns. */
const nearly = fc
  .array(
    fc.oneof(
      fc.constantFrom('data:', 'data: ', 'event:', 'id:', 'retry:', ':', '\n', '\r', '\r\n', '\n\n', ' '),
      fc.constantFrom('data', '\0', '\ufeff', '1000', '1-1', 'x\u2028y', '😀', 'é', '{"a":1}'),
      fc.string({ unit: 'binary', maxLength: 8 }).map((text) => text.toWellFormed()),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''))
const places = fc.array(fc.nat(), { maxLength: 12 })

fuzz(
  'a stream says the same however it is cut',
  fc.property(nearly, places, (text, where) => {
    const bytes = encode(text)
    expect(decoded(cut(bytes, where))).toEqual(decoded([bytes]))
  }),
)

fuzz(
  'bytes that are no text say the same however they are cut',
  fc.property(fc.uint8Array({ maxLength: 200 }), places, (bytes, where) => {
    expect(decoded(cut(bytes, where))).toEqual(decoded([bytes]))
  }),
)

fuzz(
  'a stream says what eventsource-parser reads in it whole',
  fc.property(nearly, (text) => {
    const events: WireEvent[] = []
    const parser = createParser({
      onEvent: ({ id, event, data }) =>
        events.push({ type: event || 'message', data, ...(id === undefined ? {} : { id }) }),
    })
    parser.feed(text)
    const ours = decoded([encode(text)]).filter((one) => !Array.isArray(one))
    expect(ours).toEqual(events)
  }),
)

fuzz(
  'a stream says what the standard says, read line by line',
  fc.property(nearly, (text) => {
    const ours = decoded([encode(text)]).filter((one) => !Array.isArray(one))
    expect(ours).toEqual(readByTheBook(text))
  }),
)

/** WHATWG HTML, "Server-sent events", interpreting an event stream; written for plainness alone. */
function readByTheBook(text: string): WireEvent[] {
  const events: WireEvent[] = []
  let data: string[] = []
  let type = ''
  let id: string | undefined
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)
  // What no line end follows is not yet a line.
  for (const line of lines.slice(0, -1)) {
    if (line === '') {
      if (data.length > 0) {
        events.push({ type: type || 'message', data: data.join('\n'), ...(id === undefined ? {} : { id }) })
      }
      data = []
      type = ''
      id = undefined
      continue
    }
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === 'data') data.push(value)
    if (field === 'event') type = value
    if (field === 'id' && !value.includes('\0')) id = value
  }
  return events
}

const oneLine = fc.string({ unit: 'binary' }).map((text) => text.toWellFormed().replace(/[\r\n\0]/g, ''))

fuzz(
  'a frame that is encoded is decoded as it was',
  fc.property(
    fc.record({ id: oneLine, event: oneLine, data: fc.jsonValue(), retryMs: fc.nat() }),
    places,
    ({ id, event, data, retryMs }, where) => {
      const json = JSON.stringify(data)
      const bytes = encode(encodeFrame({ id, event, data: json, retryMs, comment: 'c' }))
      expect(decoded(cut(bytes, where))).toEqual([
        ['comment', 'c'],
        ['retry', retryMs],
        ['id', id],
        { id, type: event || 'message', data: json },
      ])
    },
  ),
)

fuzz(
  'a frame never holds more than the one event, whatever its fields hold',
  fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), nearly, (id, event, data) => {
    let frame: string
    try {
      frame = encodeFrame({ id, event, data, comment: data })
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_frame' })
      expect(id + event).toMatch(/[\r\n\0]/)
      return
    }
    const events = decoded([encode(frame)]).filter((one) => !Array.isArray(one))
    expect(events).toHaveLength(1)
  }),
)

fuzz(
  'anything at all is decoded, or is too long, in bounded memory',
  fc.property(
    fc.array(fc.oneof(fc.uint8Array({ maxLength: 600 }), nearly.map(encode)), { maxLength: 40 }),
    (pieces) => {
      try {
        const said = decoded(pieces, MAX_CHARS)
        // A block can be no longer than what is held for it, and one piece.
        for (const one of said) expect(JSON.stringify(one).length).toBeLessThan((MAX_CHARS + 600) * 6 + 100)
      } catch (error) {
        expect(error).toBeInstanceOf(EventTooLongError)
      }
    },
  ),
)
