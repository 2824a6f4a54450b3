import { describe, expect, it } from 'vitest'
import { MIXED, MIXED_EVENTS, numbers, whole } from './fast-path/expected-events.ts'
import { eventsOf } from './fast-path/http-answer.ts'
import { request, streamOf } from './fast-path/raw-client.ts'
import { PATIENT, ServedStreams } from './fast-path/served-streams.ts'
import { NODES } from './fast-path/stream-process.ts'

describe.each(NODES)('a stream under Node $line', ({ binary }) => {
  const served = ServedStreams.ofSuite(binary)

  it('is chunked HTTP/1.1 that ends, whatever mixture of single writes, bursts and replay it is', async () => {
    await using t = await served()
    for (const [script, count] of [
      [MIXED, MIXED_EVENTS],
      ['e', 0],
      ['r100,e', 100],
      ['b3,b3,b3,e', 9],
      ['t5,s20,e', 20],
      ['t2,b1000,e', 1_000],
      ['s1,t1,b50,t1,b1,t1,b1,s1,b1,e', 55],
    ] as const) {
      for (const size of [1, 5_000]) {
        const [answer, ...others] = await t.answers([request(streamOf(script, size))])
        expect(answer).toMatchObject({ status: 200, chunked: true, complete: true })
        expect(answer?.headers).toMatchObject({
          connection: 'close',
          'content-type': 'text/event-stream; charset=utf-8',
        })
        expect(answer && eventsOf(answer.body)).toEqual(whole(count))
        expect(others).toEqual([])
      }
    }
  })

  it('is written past Node while it lives, and what was made for its request is collected', async () => {
    await using t = await served()
    const clients = await Promise.all(numbers(20).map(() => t.open()))
    for (const client of clients) client.send(request(streamOf('r1,s1,b3')))
    await Promise.all(clients.map((client) => client.until(({ text }) => text.includes('"n":4'))))
    await expect
      .poll(() => t.server.stats(), PATIENT)
      .toMatchObject({ open: 20, taken: 20, alive: 0, closes: t.before.closes + 20 })
    for (const client of clients) await client[Symbol.asyncDispose]()
  })

  it('gets its heartbeats after hours', async () => {
    await using t = await served()
    await using client = await t.open()
    client.send(request(streamOf('s1')))
    await client.until(({ text }) => text.includes('"n":0'))
    for (let hour = 1; hour <= 5; hour++) {
      await t.server.ask({ ask: 'advance', ms: 3_600_000 })
      const beats = hour * 115
      await client.until(({ text }) => text.split('event: heartbeat').length > beats)
      expect(client.socket.destroyed).toBe(false)
    }
    expect(await t.server.stats()).toMatchObject({ open: 1, taken: 1 })
  })

  it.each([
    ['TLS', { tls: true }],
    ['a Unix socket', { overUnixSocket: true }],
  ])('is the same over %s', async (_, options) => {
    await using t = await ServedStreams.start({ binary, ...options })
    const [answer] = await t.answers([request(streamOf(MIXED, 500))])
    expect(answer).toMatchObject({ status: 200, chunked: true, complete: true })
    expect(answer && eventsOf(answer.body)).toEqual(whole(MIXED_EVENTS))
    // More than an outbox holds, within one turn.
    const [burst] = await t.answers([request(streamOf('t3,b400,e', 5_000))])
    expect(burst && eventsOf(burst.body)).toEqual(whole(400))
    await expect.poll(() => t.server.stats(), PATIENT).toMatchObject({ open: 0, sockets: 0 })
  })
})
