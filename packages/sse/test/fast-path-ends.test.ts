import { describe, expect, it } from 'vitest'
import { numbers } from './fast-path/expected-events.ts'
import { eventsOf } from './fast-path/http-answer.ts'
import { request, streamOf } from './fast-path/raw-client.ts'
import { PATIENT, ServedStreams } from './fast-path/served-streams.ts'
import { NODES } from './fast-path/stream-process.ts'

describe.each(NODES)('at its end, a stream under Node $line', ({ binary }) => {
  const served = ServedStreams.ofSuite(binary)

  it('ends where the client says that it sends no more', async () => {
    await using t = await served()
    for (const wait of [false, true]) {
      await using client = await t.open()
      client.send(request(streamOf('s3')))
      if (wait) await client.until(({ text }) => text.includes('"n":2'))
      client.socket.end()
      await client.closed()
    }
  })

  it('at any moment leaves nothing behind', async () => {
    await using t = await served()
    const head = request(streamOf('r3,s20,b200,t2,s5,e', 3_000))
    for (let n = 0; n < 60; n++) {
      await using client = await t.open()
      // From before the request is whole, over every turn of the first, to some way into the answer.
      client.send(n < 10 ? head.slice(0, n * 6) : head)
      if (n < 40) for (let turn = 0; turn < n - 10; turn++) await new Promise(setImmediate)
      else await client.until(({ byteLength }) => byteLength > (n - 40) * 30_000)
      if (n % 2 === 0) client.socket.resetAndDestroy()
      else client.socket.destroy()
    }
  })

  it('while what was written waits for its client leaves nothing behind, during its end as well', async () => {
    await using t = await served()
    for (const script of ['b6000', 'b6000,e', 't5,b6000,e']) {
      await using client = await t.open()
      client.socket.pause()
      client.send(request(streamOf(script, 5_000)))
      await expect.poll(async () => (await t.server.stats()).sockets, PATIENT).toBe(1)
      client.socket.resetAndDestroy()
      await expect.poll(async () => (await t.server.stats()).sockets, PATIENT).toBe(0)
    }
  })

  it.each(['close-app', 'close-server'] as const)(
    'ends whole when its server closes (%s), which finishes',
    async (ask) => {
      await using t = await ServedStreams.start({ binary })
      const clients = await Promise.all(numbers(20).map(() => t.open()))
      for (const client of clients) client.send(request(streamOf('r1,s2')))
      await Promise.all(clients.map((client) => client.until(({ text }) => text.includes('"n":2'))))
      await t.server.ask({ ask })
      for (const client of clients) {
        const [answer] = await client.answers()
        expect(answer?.complete).toBe(true)
        expect(answer && eventsOf(answer.body)).toEqual(['connection', 0, 1, 2, 'disconnected'])
      }
    },
  )
})
