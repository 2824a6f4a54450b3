import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventTooLongError, SseDecoder, type WireEvent } from './sse-decoder.ts'
import { encodeFrame, type FrameFields } from './sse-encoder.ts'

interface Decoded {
  events: WireEvent[]
  ids: string[]
  retries: number[]
  comments: string[]
}

function decode(chunks: readonly Uint8Array[]): Decoded {
  const decoded: Decoded = { events: [], ids: [], retries: [], comments: [] }
  const decoder = new SseDecoder({
    onEvent: (event) => decoded.events.push(event),
    onId: (id) => decoded.ids.push(id),
    onRetry: (retryMs) => decoded.retries.push(retryMs),
    onComment: (comment) => decoded.comments.push(comment),
  })
  for (const chunk of chunks) decoder.feed(chunk)
  return decoded
}

const bytes = (text: string) => new TextEncoder().encode(text)

function split(all: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].sort((a, b) => a - b)
  return [...places, all.length].map((end, i) => all.subarray(places[i - 1] ?? 0, end))
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
// Line breaks, colons and spaces far more often than chance would have them.
const tricky = fc
  .array(
    fc.oneof(text, fc.constantFrom('\n', '\r', '\r\n', ':', ' ', 'data: x', 'é', '🙂', '\u0000', '\ufeff')),
  )
  .map((pieces) => pieces.join(''))
const oneLine = tricky.map((value) => value.replaceAll(/\p{Cc}/gu, ''))
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const frames: fc.Arbitrary<FrameFields> = fc
  .record({
    id: maybe(oneLine),
    event: maybe(oneLine),
    data: maybe(tricky),
    retryMs: maybe(fc.nat()),
    comment: maybe(tricky),
  })
  .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)))

const joined = (value: string) => value.replaceAll(/\r\n|\r/g, '\n')

describe('SseDecoder', () => {
  it('reads back whatever encodeFrame writes, however the bytes are split', () => {
    fc.assert(
      fc.property(fc.array(frames), fc.array(fc.nat()), (sent, cuts) => {
        const { events, ids, retries, comments } = decode(split(bytes(sent.map(encodeFrame).join('')), cuts))
        expect(events).toEqual(
          sent.flatMap(({ id, event, data }) =>
            data === undefined
              ? []
              : [{ type: event || 'message', data: joined(data), ...(id === undefined ? {} : { id }) }],
          ),
        )
        expect(ids).toEqual(sent.flatMap(({ id }) => id ?? []))
        expect(retries).toEqual(sent.flatMap(({ retryMs }) => retryMs ?? []))
        expect(comments).toEqual(sent.flatMap(({ comment }) => comment?.split(/\r\n|\r|\n/) ?? []))
      }),
      { numRuns: 1_000 },
    )
  })

  it('takes each of the three line ends, also where a chunk ends between CR and LF', () => {
    const lines = ['id: 1', 'event: e', 'data: é🙂', 'data', '', 'data: second', '', '']
    for (const end of ['\n', '\r', '\r\n']) {
      const all = bytes(lines.join(end))
      const expected = [
        { id: '1', type: 'e', data: 'é🙂\n' },
        { type: 'message', data: 'second' },
      ]
      for (let cut = 0; cut <= all.length; cut++) expect(decode(split(all, [cut])).events).toEqual(expected)
      expect(decode(Array.from(all, (byte) => Uint8Array.of(byte))).events).toEqual(expected)
    }
  })

  it('skips one byte order mark at the beginning, no more', () => {
    expect(decode([bytes('\ufeffdata: a\n\n\ufeffdata: b\n\n')]).events).toEqual([
      { type: 'message', data: 'a' },
    ])
    expect(decode([bytes('\ufeff\ufeffdata: a\n\n')]).events).toEqual([])
  })

  it('skips unknown fields, a bad retry, an id with NUL, and a block without its blank line', () => {
    const { events, retries } = decode([
      bytes('x: y\nretry: soon\nretry: -1\nid: a\u0000b\nid\ndata:a\n\ndata: cut off'),
    ])
    expect(events).toEqual([{ type: 'message', data: 'a', id: '' }])
    expect(retries).toEqual([])
  })

  it('reads bytes that are no UTF-8 as replacement characters', () => {
    const broken = Uint8Array.of(...bytes('data: '), 0xff, 0xc3, 0x0a, 0x0a)
    expect(decode([broken]).events).toEqual([{ type: 'message', data: '\ufffd\ufffd' }])
  })
})

describe('the bound of SseDecoder', () => {
  const noEvents = { onEvent: () => expect.unreachable('no event has ended') }

  /** Feeds up to 200 MB, and says how much was taken before it threw. */
  function fedUntilRefused(decoder: SseDecoder, chunk: Uint8Array): number {
    let fed = 0
    for (; fed < 200_000_000; fed += chunk.length) {
      try {
        decoder.feed(chunk)
      } catch (error) {
        expect(error).toBeInstanceOf(EventTooLongError)
        expect(error).toMatchObject({ code: 'event_too_large', retryable: false })
        return fed
      }
    }
    return fed
  }

  it.each([
    ['one endless line', 'data: ', 'x'.repeat(65_536)],
    ['an event of endless lines', '', `data: ${'x'.repeat(65_529)}\n`],
    ['an endless id', 'id: ', 'x'.repeat(65_536)],
    ['an endless comment', ':', 'x'.repeat(65_536)],
  ])('refuses %s soon after the bound', (_, head, more) => {
    const decoder = new SseDecoder({ ...noEvents, onComment: () => undefined, maxEventChars: 1_000_000 })
    decoder.feed(bytes(head))
    const fed = fedUntilRefused(decoder, bytes(more))
    expect(fed).toBeGreaterThanOrEqual(900_000)
    expect(fed).toBeLessThan(1_100_000)
    expect(() => decoder.feed(bytes('data: more\n\n'))).toThrow(EventTooLongError)
  })

  it('holds nothing of an endless line that no one asked for', () => {
    const decoder = new SseDecoder(noEvents)
    const chunk = bytes('x'.repeat(1_000_000))
    decoder.feed(bytes(':'))
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 100; i++) decoder.feed(chunk)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000)
  })

  it('takes any number of events that are each within it', () => {
    let count = 0
    const decoder = new SseDecoder({ onEvent: () => count++, maxEventChars: 100 })
    const chunk = bytes(encodeFrame({ data: 'x'.repeat(90) }).repeat(100))
    for (let i = 0; i < 100; i++) decoder.feed(chunk)
    expect(count).toBe(10_000)
  })

  it('hands on what came whole before an event that is too long', () => {
    const events: WireEvent[] = []
    const decoder = new SseDecoder({ onEvent: (event) => events.push(event), maxEventChars: 100 })
    expect(() => decoder.feed(bytes(`data: a\n\ndata: ${'x'.repeat(200)}`))).toThrow(EventTooLongError)
    expect(events).toEqual([{ type: 'message', data: 'a' }])
  })
})
