import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import { allDataOf, dataOf, FakeClock, lastingPort, SELF_SIGNED } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { listen, serveHttp, serveTcp } from './local-server.ts'
import { gatewayHeaders, startWorker } from './running-worker.ts'

/** The final event of the one task. */
async function failureOf(
  task: Record<string, unknown>,
  { env = {}, ...run }: { env?: Record<string, string>; deadlineMs?: number } = {},
) {
  await using worker = await startWorker(env)
  const events = await worker.run({ tasks: [{ id: 't', retries: 0, ...task }], ...run })
  await events.ended
  const finals = events.events.filter(({ type }) => type === 'error' || type === 'task_complete')
  expect(finals).toHaveLength(1)
  expect(events.ofType('complete')).toHaveLength(1)
  return finals[0]?.data
}

describe('a task', () => {
  it('fails with dns_failed where its host does not exist', async () => {
    expect(await failureOf({ url: 'http://nowhere.invalid/' })).toMatchObject({ code: 'dns_failed' })
  })

  it('fails with connection_refused where nobody listens', async () => {
    const url = `http://127.0.0.1:${await lastingPort()}/`
    expect(await failureOf({ url })).toMatchObject({
      code: 'connection_refused',
      error: 'Connection refused',
    })
  })

  it.each([
    ['before it answers', ''],
    ['within the headers', 'HTTP/1.1 200 OK\r\nContent-Ty'],
    ['within the body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
    ['within a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf'],
  ])('fails with connection_reset where its server dies %s', async (_, bytes) => {
    await using server = await serveTcp((socket) => {
      socket.once('data', () => socket.write(bytes, () => socket.destroy()))
    })
    expect(await failureOf({ url: server.url })).toMatchObject({ code: 'connection_reset' })
  })

  it('fails with tls_failed where the certificate is not trusted', async () => {
    await using server = await listen(createTlsServer(SELF_SIGNED, (_, response) => response.end()))
    expect(await failureOf({ url: `https://localhost:${server.port}/` })).toMatchObject({
      code: 'tls_failed',
    })
  })

  it('fails with connect_timeout where a connect comes to no end', async () => {
    // Accepts the connection and never speaks TLS, which is a part of connecting.
    await using server = await serveTcp(() => undefined)
    const env = { UPSTREAM_CONNECT_TIMEOUT_MS: '200' }
    const failure = await failureOf({ url: `https://localhost:${server.port}/` }, { env })
    expect(failure).toMatchObject({ code: 'connect_timeout', error: 'Connection timeout' })
  })

  it.each([
    ['headers', () => undefined],
    ['the end of the body', (response: { write(text: string): unknown }) => void response.write('half')],
  ])('fails with task_timeout where %s do not come in time', async (_, begin) => {
    await using api = await serveHttp((__, response) => begin(response))
    expect(await failureOf({ url: api.url, timeoutMs: 200 })).toMatchObject({ code: 'task_timeout' })
  })

  it('fails with deadline_exceeded where its run expires', async () => {
    await using api = await serveHttp(() => undefined)
    expect(await failureOf({ url: api.url }, { deadlineMs: 200 })).toMatchObject({
      code: 'deadline_exceeded',
    })
  })

  it.each([
    [400, 'http_4xx'],
    [429, 'http_4xx'],
    [500, 'http_5xx'],
    [503, 'http_5xx'],
  ])('fails for HTTP %i with %s', async (status, code) => {
    await using api = await serveHttp((_, response) => response.writeHead(status).end('why'))
    expect(await failureOf({ url: api.url })).toMatchObject({ code, error: `HTTP ${status}` })
  })

  it('fails with body_too_large for JSON beyond the limit', async () => {
    await using api = await serveHttp((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(`"${'x'.repeat(2_000)}"`)
    })
    const env = { TASK_MAX_BODY_BYTES: '1024' }
    expect(await failureOf({ url: api.url }, { env })).toMatchObject({ code: 'body_too_large' })
  })

  it('fails with invalid_json for a body that claims to be JSON', async () => {
    await using api = await serveHttp((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('<html>')
    })
    expect(await failureOf({ url: api.url })).toMatchObject({ code: 'invalid_json' })
  })

  it.each([
    'http://127.0.0.1:1/',
    'http://localhost:1/',
    'http://[::1]:1/',
    'http://10.0.0.1/',
    'http://192.168.1.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://0/',
    'http://2130706433/',
    'http://[::ffff:127.0.0.1]/',
  ])('fails with address_refused for %s unless it is allowed', async (url) => {
    const env = { NODE_ENV: 'production', OUTBOUND_ALLOW: '' }
    await using worker = await startWorker({ ...env, WORKER_SECRET: 's'.repeat(32) })
    const events = await worker.run({ tasks: [{ id: 't', url }] }, await gatewayHeaders('s'.repeat(32)))
    expect(await dataOf(events, 'error')).toMatchObject({ code: 'address_refused', attempt: 1 })
  })

  it('fails with address_refused where a redirect leads to a private address', async () => {
    await using inside = await serveHttp((_, response) => response.end('secret'))
    await using api = await serveHttp((_, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${inside.port}/` }).end()
    })
    const env = { OUTBOUND_ALLOW: `127.0.0.1:${api.port}` }
    expect(await failureOf({ url: api.url }, { env })).toMatchObject({ code: 'address_refused' })
    expect(inside.sockets.size).toBe(0)
  })

  it('fails with task_failed for what is no HTTP, and for redirects without end', async () => {
    await using server = await serveTcp((socket) =>
      socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n')),
    )
    expect(await failureOf({ url: server.url })).toMatchObject({ code: 'task_failed' })
    await using api = await serveHttp((_, response) => response.writeHead(302, { location: '/' }).end())
    expect(await failureOf({ url: api.url })).toMatchObject({
      code: 'task_failed',
      error: 'Too many redirects',
    })
  })
})

describe('retries', () => {
  it('come after Retry-After, and void what the attempt before had told', async () => {
    const clock = new FakeClock()
    let calls = 0
    await using api = await serveHttp((_, response) => {
      calls += 1
      if (calls === 1) response.writeHead(503, { 'retry-after': '7' }).end()
      else response.end('there')
    })
    await using worker = await startWorker({}, { clock, random: () => 0.5 })
    const events = await worker.run({ tasks: [{ id: 't', url: api.url }] })
    const data = await dataOf(events, 'task_retry')
    // Half of the first backoff's 200 ms on top.
    expect(data).toEqual({ taskId: 't', attempt: 2, reason: 'http_5xx', delayMs: 7_100 })
    clock.advance(7_099)
    expect(calls).toBe(1)
    clock.advance(1)
    expect(await dataOf(events, 'task_complete')).toMatchObject({ attempt: 2 })
    const starts = allDataOf(events, 'task_start')
    expect(starts.map(({ attempt }) => attempt)).toEqual([1, 2])
    expect(calls).toBe(2)
  })

  it('end after as many as the task has, two by default', async () => {
    const calls = new Map<string | undefined, number>()
    await using api = await serveHttp((request, response) => {
      calls.set(request.url, (calls.get(request.url) ?? 0) + 1)
      response.writeHead(503, { 'retry-after': '0' }).end()
    })
    await using worker = await startWorker({}, { random: () => 0 })
    const events = await worker.run({
      tasks: [
        { id: 'default', url: `${api.url}/default` },
        { id: 'four', url: `${api.url}/four`, retries: 4 },
        { id: 'none', url: `${api.url}/none`, retries: 0 },
        { id: 'post', url: `${api.url}/post`, method: 'POST', retries: 3 },
        { id: 'idempotent', url: `${api.url}/idempotent`, method: 'PUT', idempotent: true, retries: 1 },
        { id: 'not', url: `${api.url}/not`, idempotent: false },
      ],
    })
    await events.waitFor('complete')
    expect(Object.fromEntries(calls)).toEqual({
      '/default': 3,
      '/four': 5,
      '/none': 1,
      '/post': 1,
      '/idempotent': 2,
      '/not': 1,
    })
  })

  it('come for a reset and not for a 404', async () => {
    let calls = 0
    await using api = await serveHttp((request, response) => {
      calls += 1
      if (request.url === '/404') response.writeHead(404).end()
      else if (calls === 1) response.destroy()
      else response.end()
    })
    await using worker = await startWorker({}, { random: () => 0 })
    const reset = await worker.run({ tasks: [{ url: api.url }] })
    expect(await dataOf(reset, 'task_complete')).toMatchObject({ attempt: 2 })
    expect(await dataOf(reset, 'task_retry')).toMatchObject({ reason: 'connection_reset' })
    const missing = await worker.run({ tasks: [{ url: `${api.url}/404` }] })
    expect(await dataOf(missing, 'error')).toMatchObject({ attempt: 1 })
    expect(calls).toBe(3)
  })

  it('hold no slot while they wait', async () => {
    const clock = new FakeClock()
    const answered: (string | undefined)[] = []
    await using api = await serveHttp((request, response) => {
      const first = !answered.includes(request.url)
      answered.push(request.url)
      if (request.url === '/again' && first) response.writeHead(503, { 'retry-after': '20' }).end()
      else response.end()
    })
    await using worker = await startWorker(
      { TASK_CONCURRENCY_TOTAL: '1', TASK_CONCURRENCY_PER_ORIGIN: '1' },
      { clock, random: () => 0 },
    )
    const events = await worker.run({
      concurrency: 1,
      tasks: ['/again', '/other'].map((path) => ({ id: path, url: api.url + path })),
    })
    expect(await dataOf(events, 'task_complete')).toMatchObject({ taskId: '/other' })
    expect(worker.deps.scheduler).toMatchObject({ activeCount: 0, originCount: 0 })
    clock.advance(20_000)
    await events.waitFor('complete')
    expect(answered).toEqual(['/again', '/other', '/again'])
  })

  it('are dropped by a cancel', async () => {
    const clock = new FakeClock()
    await using api = await serveHttp((_, response) => response.writeHead(503).end())
    await using worker = await startWorker({}, { clock, random: () => 1 })
    const events = await worker.run({ tasks: [{ id: 't', url: api.url }] })
    await events.waitFor('task_retry')
    const timers = clock.timerCount
    const { runId } = await dataOf(events, 'connection')
    await fetch(`${worker.url}/api/runs/${runId}/cancel`, { method: 'POST' })
    expect(await dataOf(events, 'error')).toMatchObject({ code: 'cancelled', attempt: 1 })
    expect(clock.timerCount).toBeLessThan(timers)
  })
})

it('lets a slow origin hold no slot of another run or origin', async () => {
  await using slow = await serveHttp(() => undefined)
  await using fast = await serveHttp((_, response) => response.end())
  await using worker = await startWorker({ TASK_CONCURRENCY_PER_ORIGIN: '2', TASK_CONCURRENCY_TOTAL: '4' })
  const stuck = await worker.run({
    concurrency: 4,
    tasks: [
      ...Array.from({ length: 5 }, (_, index) => ({ id: `slow-${index}`, url: slow.url })),
      ...Array.from({ length: 5 }, (_, index) => ({ id: `fast-${index}`, url: fast.url })),
    ],
  })
  const other = await worker.run({ tasks: Array.from({ length: 10 }, () => ({ url: fast.url })) })
  expect(await dataOf(other, 'complete')).toMatchObject({ successCount: 10 })
  await stuck.waitForCount('task_complete', 5)
  expect(slow.sockets.size).toBe(2)
  const closed = Promise.all([...slow.sockets].map((socket) => once(socket, 'close')))
  const { runId } = await dataOf(stuck, 'connection')
  await fetch(`${worker.url}/api/runs/${runId}/cancel`, { method: 'POST' })
  await closed
})
