import { once } from 'node:events'
import { connect } from 'node:net'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { EventStream, Frame, NodeSink, sseHeaders } from '../src/index.ts'
import { httpServer } from './stream-fixture.ts'

/** A server whose one stream the test holds. */
async function served() {
  const opened = Promise.withResolvers<NodeSink>()
  const server = await httpServer((_path, response) =>
    opened.resolve(new NodeSink(response, { ...sseHeaders().build(), 'x-own': 'yes', 'x-none': undefined })),
  )
  return { ...server, sink: opened.promise }
}

const frame = (data: string) => new Frame(`data: ${data}\n\n`)

describe('NodeSink', () => {
  it('sends its head at once, before there is an event', async () => {
    await using server = await served()
    await using reader = await EventCollector.open(server.url)
    expect(reader.status).toBe(200)
    expect(reader.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'x-own': 'yes',
    })
    expect(reader.headers['x-none']).toBeUndefined()
  })

  it('keeps the order of what is written alone, in bursts and across turns, up to its end', async () => {
    await using server = await served()
    await using reader = await EventCollector.open(server.url)
    const sink = await server.sink
    let n = 0
    for (const burst of [1, 1, 5, 2, 1, 0, 30, 1, 3]) {
      for (let i = 0; i < burst; i++) sink.write(frame(`${n++}`))
      await new Promise(setImmediate)
    }
    sink.write(frame(`${n++}`))
    sink.write(frame(`${n++}`))
    sink.end()
    sink.write(frame('too late'))
    await reader.ended
    expect(reader.error).toBeUndefined()
    expect(reader.events.map(({ data }) => data)).toEqual(Array.from({ length: n }, (_, i) => i))
    expect(sink.closed).toBe(true)
  })

  it('hears once of a client that vanishes, and takes no more', async () => {
    await using server = await served()
    const client = connect(server.port, '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const sink = await server.sink
    let closed = 0
    const gone = new Promise<void>((resolve) => {
      sink.attach({
        onSinkDrained: () => undefined,
        onSinkClosed: () => {
          closed += 1
          resolve()
        },
      })
    })
    await once(client, 'data')
    client.resetAndDestroy()
    await gone
    expect(sink.closed).toBe(true)
    sink.write(frame('nobody'))
    sink.end()
    await new Promise(setImmediate)
    expect(closed).toBe(1)
    expect(sink.pendingBytes).toBe(0)
  })

  it('counts what a slow client has not taken, within the outbox’s bound, and tells when it has', async () => {
    await using server = await served()
    const client = connect(server.port, '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const sink = await server.sink
    await once(client, 'data')
    client.pause()
    const maxBytes = 100_000
    const stream = new EventStream(sink, { maxBytes })
    const big = frame('x'.repeat(30_000))
    // The kernel takes some megabytes before anything waits here.
    let sent = 0
    for (let fullTurns = 0; fullTurns < 3; ) {
      if (stream.hasRoomFor(big.byteLength)) {
        stream.send(big)
        sent += 1
        fullTurns = 0
      } else fullTurns += 1
      expect(stream.pendingBytes).toBeLessThanOrEqual(maxBytes + 1_000)
      await new Promise(setImmediate)
    }
    expect(stream.pendingBytes).toBeGreaterThan(maxBytes - 2 * big.byteLength)
    let received = 0
    const all = Promise.withResolvers<void>()
    client.on('data', (chunk) => {
      received += chunk.length
      if (received >= sent * big.byteLength) all.resolve()
    })
    const drained = stream.drained()
    client.resume()
    await drained
    expect(stream.hasRoomFor(10 * maxBytes)).toBe(true)
    await all.promise
    client.destroy()
  })
})
