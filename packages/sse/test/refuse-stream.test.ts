import { connect } from 'node:net'
import { ProblemError } from '@tributary/protocol'
import { EventCollector } from '@tributary/testkit'
import Fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { refuseStream } from '../src/fastify.ts'

const overloaded = () => new ProblemError('overloaded', 'No room', { retryAfterS: 4 })

/** A service that refuses every stream. */
async function refusing(error: unknown = overloaded()) {
  const app = Fastify()
  app.setErrorHandler((thrown, _request, reply) => {
    const status = thrown instanceof ProblemError ? thrown.statusCode : 500
    return reply.code(status).send({ status })
  })
  app.get<{ Querystring: { lastEventId?: string; since?: string } }>('/stream', async (request, reply) => {
    refuseStream(reply, error, request.query, { random: () => 1 })
    return reply
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, url: `${url}/stream`, [Symbol.asyncDispose]: () => app.close() }
}

describe('refuseStream', () => {
  it.each([
    ['', { 'last-event-id': '5-1' }, '5-1'],
    ['?lastEventId=run_1.5-1', {}, 'run_1.5-1'],
    ['?since=0', {}, '0'],
    ['?lastEventId=5-1.closed', {}, '5-1'],
  ])(
    'tells who comes back with a cursor (%s %j) to come again, and leaves the cursor',
    async (query, headers, id) => {
      await using s = await refusing()
      await using reader = await EventCollector.open(s.url + query, { headers })
      await reader.ended
      expect([reader.status, reader.headers['content-type'], reader.retries]).toEqual([
        200,
        'text/event-stream; charset=utf-8',
        [6_000],
      ])
      expect(reader.events).toMatchObject([
        { id, type: 'disconnected', data: { reason: 'busy', reconnect: true, message: 'No room' } },
      ])
    },
  )

  it('answers a new reader with the problem', async () => {
    await using s = await refusing()
    expect((await fetch(s.url)).status).toBe(503)
  })

  it('answers 204 to who was told to stay away', async () => {
    await using s = await refusing()
    expect((await fetch(s.url, { headers: { 'last-event-id': '5-1.closed' } })).status).toBe(204)
  })

  it.each([
    [new ProblemError('run_not_found', 'Gone'), 404],
    [new ProblemError('internal_error', 'Oh'), 500],
    [new Error('Oh'), 500],
  ])('answers what will not pass as it is: %s', async (error, status) => {
    await using s = await refusing(error)
    expect((await fetch(s.url, { headers: { 'last-event-id': '5-1' } })).status).toBe(status)
  })

  it('ends with the connection for HTTP/1.0, which knows no chunks', async () => {
    await using s = await refusing()
    const socket = connect(Number(new URL(s.url).port), '127.0.0.1')
    socket.write('GET /stream?since=0 HTTP/1.0\r\n\r\n')
    const chunks = await socket.setEncoding('utf8').toArray()
    const [head, body] = chunks.join('').split('\r\n\r\n')
    expect(head).not.toMatch(/transfer-encoding/i)
    expect(body).toMatch(/^retry: 6000\nid: 0\nevent: disconnected\ndata: .+\n\n$/)
  })

  it('answers HEAD with the headers alone, and keeps the connection that a busy stream was on', async () => {
    await using s = await refusing()
    const head = await fetch(`${s.url}?since=0`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const answer = await fetch(`${s.url}?since=0`)
    expect(Number(answer.headers.get('content-length'))).toBe((await answer.text()).length)
  })
})
