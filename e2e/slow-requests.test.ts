import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { postJson, startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const SEND = '/api/sse/managed/send/user/dev'
const WAIT = { timeout: 20_000 }

/** A socket that sends this much of a request, and then says no more. */
function begin(url: string, text: string): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => undefined)
  if (text !== '') socket.write(text)
  return socket
}

/** All that comes on a socket until the other side closes it. */
async function answerOn(socket: Socket): Promise<string> {
  const chunks = await socket.setEncoding('latin1').toArray()
  return chunks.join('')
}

describe('a stream that is open misses nothing, while', () => {
  it.each([
    ['nothing comes', '', 408],
    ['headers are trickled', 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ', 408],
    [
      'a body is trickled',
      `POST ${SEND} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"event"`,
      408,
    ],
  ])('%s on sockets beside it, which are closed in time', async (_what, text, status) => {
    await using gateway = await startGateway({
      env: { HEADERS_TIMEOUT_MS: '1000', REQUEST_TIMEOUT_MS: '1000' },
    })
    const { metrics } = gateway.deps
    await using reader = await EventCollector.open(gateway.url + CONNECT)
    await reader.waitFor('connection')
    const sockets = Array.from({ length: 200 }, () => begin(gateway.url, text))
    const answers = await Promise.all(sockets.map(answerOn))
    for (const answer of answers) expect(answer).toContain(`HTTP/1.1 ${status} `)
    expect(answers[0]).toContain('"code":"request_timeout"')
    expect(metrics.requests.problemsByCategory().timeout).toBe(200)
    const sent = await postJson(gateway.url + SEND, { event: 'note', data: 1 })
    expect(await sent.json()).toMatchObject({ delivered: 1 })
    expect(await reader.waitFor('note')).toMatchObject({ data: 1 })
  })

  it('sockets are idle after their request, which are closed in time', async () => {
    await using gateway = await startGateway({ env: { IDLE_TIMEOUT_MS: '100' } })
    await using reader = await EventCollector.open(gateway.url + CONNECT)
    await reader.waitFor('connection')
    const sockets = Array.from({ length: 100 }, () =>
      begin(gateway.url, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'),
    )
    for (const answer of await Promise.all(sockets.map(answerOn))) expect(answer).toContain('HTTP/1.1 200 ')
    await gateway.deps.hub.sendToUser('dev', 'note', 1)
    expect(await reader.waitFor('note')).toMatchObject({ data: 1 })
  })
})

describe('MAX_SOCKETS', () => {
  const env = { MAX_SOCKETS: '20' }

  it('closes who has said nothing for longest, and lets others in', async () => {
    await using gateway = await startGateway({ env })
    await using reader = await EventCollector.open(gateway.url + CONNECT)
    await reader.waitFor('connection')
    const silent = Array.from({ length: 100 }, () => begin(gateway.url, ''))
    const closed = silent.slice(0, 80).map((socket) => once(socket.resume(), 'close'))
    await Promise.all(closed)
    expect(await gateway.connectionCount()).toBe(20)
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200)
    await gateway.deps.hub.sendToUser('dev', 'note', 1)
    expect(await reader.waitFor('note')).toMatchObject({ data: 1 })
    for (const socket of silent) socket.destroy()
    await expect.poll(() => gateway.connectionCount(), WAIT).toBeLessThanOrEqual(2)
    const { body } = await fetch(`${gateway.url}/metrics`)
    expect(await new Response(body).text()).toMatch(/^tributary_sockets_dropped_total [1-9]\d+$/m)
  })

  it('does not take a stream that was asked for in a row of requests for one who waits', async () => {
    await using gateway = await startGateway({ env })
    const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const stream = begin(gateway.url, ask('/healthz') + ask('/healthz') + ask(CONNECT))
    let text = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await expect.poll(() => text, WAIT).toContain('event: connection')
    const silent = Array.from({ length: 60 }, () => begin(gateway.url, ''))
    await Promise.all(silent.slice(0, 40).map((socket) => once(socket.resume(), 'close')))
    expect(await gateway.deps.hub.sendToUser('dev', 'note', 1)).toMatchObject({ delivered: 1 })
    await expect.poll(() => text, WAIT).toContain('event: note')
    for (const socket of [stream, ...silent]) socket.destroy()
  })

  it('keeps every stream, also when there are no others to close', async () => {
    await using gateway = await startGateway({ env: { ...env, MAX_CONNECTIONS_PER_USER: '0' } })
    const open = () => EventCollector.open(gateway.url + CONNECT)
    const readers = await Promise.all(Array.from({ length: 20 }, open))
    await Promise.all(readers.map((reader) => reader.waitFor('connection')))
    await expect(open()).rejects.toThrow()
    expect(await gateway.deps.hub.broadcast('note', 1)).toMatchObject({ delivered: 20 })
    for (const reader of readers) {
      expect(await reader.waitFor('note')).toMatchObject({ data: 1 })
      await reader.close()
    }
  })
})
