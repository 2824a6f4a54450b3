import { once } from 'node:events'
import { createServer } from 'node:http'
import { encodeFrame, type FrameFields } from '@tributary/protocol'
import fc from 'fast-check'
import { EventSource, MessageEvent } from 'undici'
import { describe, expect, it } from 'vitest'

interface Got {
  readonly type: string
  readonly data: unknown
  readonly lastEventId: string
}

const LAST = 'the_last_one'
const oneLine = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .map((value) => value.replaceAll(/\p{Cc}/gu, ''))
const data = fc
  .array(
    fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('\n', '\r', '\r\n', ' ', ':', '\u0000', '🙂')),
  )
  .map((pieces) => pieces.join(''))
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const frames: fc.Arbitrary<FrameFields> = fc
  .record({ id: maybe(oneLine), event: maybe(oneLine), data: maybe(data), comment: maybe(data) })
  .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)))

/** What an EventSource must make of the frames: the last id stays until another comes. */
function expected(sent: readonly FrameFields[]): Got[] {
  let lastEventId = ''
  return sent.flatMap(({ id, event, data: text }) => {
    lastEventId = id ?? lastEventId
    if (text === undefined) return []
    return [{ type: event || 'message', data: text.replaceAll(/\r\n|\r/g, '\n'), lastEventId }]
  })
}

/** Streams the frames over a real socket, in pieces that end anywhere, to undici's EventSource. */
async function received(sent: readonly FrameFields[], pieceBytes: number): Promise<Got[]> {
  const body = Buffer.from(sent.map(encodeFrame).join(''))
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let i = 0; i < body.length; i += pieceBytes) response.write(body.subarray(i, i + pieceBytes))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  const got: Got[] = []
  const source = new EventSource(`http://127.0.0.1:${address.port}`)
  const { promise: done, resolve, reject } = Promise.withResolvers<void>()
  const listener = (event: Event) => {
    // An EventSource's own `open` and `error` are no messages.
    if (!(event instanceof MessageEvent)) return
    if (event.type === LAST) resolve()
    else got.push({ type: event.type, data: event.data, lastEventId: event.lastEventId })
  }
  for (const type of new Set(sent.map(({ event }) => event || 'message')))
    source.addEventListener(type, listener)
  source.onerror = (event) => {
    if (!(event instanceof MessageEvent)) reject(new Error('the EventSource lost its stream'))
  }
  try {
    await done
    return got
  } finally {
    source.close()
    server.close()
    server.closeAllConnections()
  }
}

describe('an EventSource', () => {
  it('reads back whatever encodeFrame writes, over a real socket', async () => {
    const sent = fc.sample(frames, 2_000)
    const last: FrameFields = { event: LAST, data: '' }
    for (const pieceBytes of [7, 1_021, 65_536]) {
      expect(await received([...sent, last], pieceBytes)).toEqual(expected(sent))
    }
  })
})
