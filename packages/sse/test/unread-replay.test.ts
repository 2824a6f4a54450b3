import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { EventStream, Frame, type LogStream, NodeSink, sseHeaders } from '../src/index.ts'
import { append, fixture, httpServer } from './stream-fixture.ts'

const MAX_BYTES = 262_144
const LARGE = 'x'.repeat(100_000)
/** More than the kernel keeps for a socket. */
const COUNT = 200
/** A chunk's head, and one frame that found an empty outbox. */
const SLACK = 1_000

/** A client that asks and does not read. */
async function silentClient(port: number, version: string) {
  const client = connect(port, '127.0.0.1')
  await once(client, 'connect')
  client.pause()
  client.write(`GET / HTTP/${version}\r\nHost: x\r\n\r\n`)
  return client
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate)
}

/** A stream that stands, to a client that does not read. */
async function openUnread(version: string, maxBytes: number) {
  const opened = Promise.withResolvers<NodeSink>()
  const server = await httpServer((_path, response) =>
    opened.resolve(new NodeSink(response, sseHeaders().build())),
  )
  const client = await silentClient(server.port, version)
  const sink = await opened.promise
  await turns(5)
  return {
    stream: new EventStream(sink, { maxBytes }),
    async [Symbol.asyncDispose]() {
      client.destroy()
      await server[Symbol.asyncDispose]()
    },
  }
}

// In the turn of its opening and for HTTP/1.0 a stream goes through Node's own answer, else past it.
describe.each(['1.0', '1.1'])('a reader over HTTP/%s that does not read', (version) => {
  it('holds no more than its outbox of what it catches up on, and gets all of it once it reads', async () => {
    await using t = await fixture()
    await append(t.log, Array<string>(COUNT).fill(LARGE))
    const opened = Promise.withResolvers<LogStream>()
    await using server = await httpServer(async (_path, response) => {
      const sink = new NodeSink(response, sseHeaders().build())
      const stream = await t.streams.serve(t.options({ sink: () => sink }))
      stream.start()
      opened.resolve(stream)
    })
    const client = await silentClient(server.port, version)
    const { stream } = await opened.promise
    let mostPending = 0
    for (let stalledTurns = 0, sent = -1; stalledTurns < 20; ) {
      stalledTurns = stream.bytesSent === sent && stream.pendingBytes > 0 ? stalledTurns + 1 : 0
      sent = stream.bytesSent
      mostPending = Math.max(mostPending, stream.pendingBytes)
      await turns(1)
    }
    expect(mostPending).toBeGreaterThan(0)
    expect(mostPending).toBeLessThanOrEqual(MAX_BYTES + SLACK)
    expect(stream.bytesSent).toBeLessThan(COUNT * LARGE.length)
    let received = 0
    const all = Promise.withResolvers<void>()
    client.on('data', (chunk) => {
      received += chunk.length
      if (received > COUNT * LARGE.length) all.resolve()
    })
    client.resume()
    await all.promise
    client.destroy()
  })

  it('has no room for a burst within one turn that is beyond its outbox', async () => {
    await using unread = await openUnread(version, MAX_BYTES)
    const { stream } = unread
    const frame = new Frame(`data: ${LARGE}\n\n`)
    let sent = 0
    while (sent < COUNT && stream.hasRoomFor(frame.byteLength)) {
      stream.send(frame)
      sent += 1
    }
    expect(sent).toBeLessThan(COUNT)
    expect(stream.pendingBytes).toBeLessThanOrEqual(MAX_BYTES + SLACK)
  })

  it('that reads has room for a burst within one turn, however large', async () => {
    await using unread = await openUnread(version, 100_000)
    const { stream } = unread
    const frame = new Frame(`data: ${'x'.repeat(1_000)}\n\n`)
    // The kernel has room for this much.
    for (let n = 0; n < 1_000; n++) {
      expect(stream.hasRoomFor(frame.byteLength)).toBe(true)
      stream.send(frame)
    }
  })
})
