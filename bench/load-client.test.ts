import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LoadClient } from './load-client.ts'
import { findCompiler } from './native-program.ts'

const STREAMS = 20
const LOAD = { publishers: 2, seconds: 0.2, bytes: 100 }

/** A server that sends what is posted to all streams, or to as many as `readers` leaves of them. */
async function client(readers: (streams: readonly ServerResponse[]) => readonly ServerResponse[]) {
  const streams = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    let data = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      data += text
    })
    request.on('end', () => {
      for (const stream of readers([...streams])) stream.write(`event: tick\ndata: ${data}\n\n`)
      response.end('{}')
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const load = new LoadClient({ port: address.port, pid: process.pid, get: '/', post: '/', body: '%s' })
  onTestFinished(async () => {
    await load[Symbol.asyncDispose]()
    server.closeAllConnections()
    server.close()
  })
  return { load, streams }
}

describe.skipIf(findCompiler() === undefined)(
  'the load client (needs a C compiler: gcc and libc6-dev)',
  () => {
    it('counts each event on each stream', async () => {
      const { load } = await client((streams) => streams)
      expect(await load.open(STREAMS)).toMatchObject({ opened: STREAMS })
      const { published, delivered } = await load.publish(LOAD)
      expect(published).toBeGreaterThan(0)
      expect(delivered).toBe(published * STREAMS)
    })

    it('keeps to a rate', async () => {
      const { load } = await client((streams) => streams)
      await load.open(STREAMS)
      const { published, expected, delivered } = await load.publish({ ...LOAD, rate: 50 })
      expect({ published, delivered }).toEqual({ published: 10, delivered: expected })
    })

    it('closes streams and opens them again', async () => {
      const { load, streams } = await client((streams) => streams)
      await load.open(STREAMS)
      const before = new Set(streams)
      expect(await load.reconnect(5)).toMatchObject({ opened: 5 })
      await load.publish(LOAD)
      expect([...streams].filter((stream) => before.has(stream))).toHaveLength(STREAMS - 5)
    })

    it('fails where a stream misses events', async () => {
      const { load } = await client((streams) => streams.slice(1))
      await load.open(STREAMS)
      await expect(load.publish(LOAD)).rejects.toThrow('1 streams did not get all')
    })

    it('fails where one stream gets twice what another misses', async () => {
      const { load } = await client(([first, ...others]) =>
        first === undefined ? [] : [first, first, ...others.slice(1)],
      )
      await load.open(STREAMS)
      await expect(load.publish(LOAD)).rejects.toThrow('2 streams did not get all')
    })

    it('fails where a stream is closed', async () => {
      const { load } = await client((streams) => {
        streams[0]?.destroy()
        return streams.slice(1)
      })
      await load.open(STREAMS)
      await expect(load.publish(LOAD)).rejects.toThrow(/[1-9]\d* streams broke/)
    })
  },
)
