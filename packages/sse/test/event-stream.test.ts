import { type DisconnectReason, NEVER_RETRY_MS, RECONNECTS } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { EventStream, Frame } from '../src/index.ts'
import { webReader } from './stream-fixture.ts'

const frame = new Frame('data: 1\n\n')
const reasons = Object.keys(RECONNECTS) as DisconnectReason[]

describe('EventStream', () => {
  it.each(reasons)('says why it ends: %s', async (reason) => {
    const { sink, body } = webReader()
    const stream = new EventStream(sink)
    const ends: string[] = []
    stream.onEnd((end) => ends.push(end))
    stream.end(reason, 'because')
    stream.end('forced')
    stream.send(frame)
    stream.control('heartbeat', {})
    stream.controlFrame(frame)
    const text = await new Response(body).text()
    const retry = RECONNECTS[reason] ? '' : `retry: ${NEVER_RETRY_MS}\n`
    const data = `{"reason":"${reason}","reconnect":${RECONNECTS[reason]},"message":"because"}`
    expect(text).toBe(`${retry}event: disconnected\ndata: ${data}\n\n`)
    stream.onEnd((end) => ends.push(`late ${end}`))
    expect(ends).toEqual([reason, `late ${reason}`])
  })

  it('counts its events and all of its bytes', () => {
    const stream = new EventStream(webReader().sink)
    stream.send(frame)
    stream.send(frame)
    stream.control('heartbeat', 1)
    expect(stream.eventsSent).toBe(2)
    expect(stream.bytesSent).toBe(2 * frame.byteLength + 'event: heartbeat\ndata: 1\n\n'.length)
  })

  it('takes any frame while it is empty, then what fits its bound', () => {
    const stream = new EventStream(webReader().sink, { maxBytes: 20 })
    expect(stream.hasRoomFor(1_000_000)).toBe(true)
    stream.send(frame)
    expect(stream.hasRoomFor(20 - frame.byteLength)).toBe(true)
    expect(stream.hasRoomFor(21 - frame.byteLength)).toBe(false)
  })

  it('lets go of whoever waits for room when its reader leaves', async () => {
    const { sink, body } = webReader()
    const stream = new EventStream(sink, { maxBytes: 5 })
    stream.send(frame)
    const drained = stream.drained()
    await body.cancel()
    await drained
    expect(stream.ended).toBe(true)
    await stream.drained()
  })
})
