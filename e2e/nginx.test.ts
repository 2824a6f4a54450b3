import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findNginx, NginxProcess } from './nginx-process.ts'
import { type ServiceProcess, startGateway, startWorker } from './processes.ts'
import { PARALLEL_TASKS, postJson } from './services.ts'

const nginxPath = findNginx()
if (nginxPath === undefined)
  process.stderr.write('the tests of deploy/nginx.conf are skipped: no nginx was found; install one\n')

const ALICE = { authorization: 'Bearer alice-token' }
/** Who may send, and see what there is. */
const ADMIN = { authorization: 'Bearer test-token' }
const STREAM = '/api/sse/managed/connect'
const STATUS = '/api/sse/managed/status'
/** Longer than any test: what comes did not wait for a heartbeat to push it on. */
const NEVER_MS = '600000'

describe.skipIf(nginxPath === undefined)('behind nginx, by deploy/nginx.conf', () => {
  const owned = new AsyncDisposableStack()
  let gateway: ServiceProcess
  let nginx: NginxProcess

  beforeAll(async () => {
    const env = { HEARTBEAT_MS: NEVER_MS, OUTBOUND_ALLOW: '127.0.0.1' }
    const worker = owned.use(await startWorker({ env }))
    gateway = owned.use(await startGateway({ workers: [worker], env }))
    nginx = owned.use(await NginxProcess.start(nginxPath ?? '', { gateways: [gateway] }))
  })
  afterAll(() => owned.disposeAsync())
  afterEach(() => expect(nginx.complaints).not.toMatch(/\[(crit|alert|emerg)\]/))

  it('an event comes through while the stream is open, and nothing after it', async () => {
    await using reader = await EventCollector.open(nginx.url + STREAM, { headers: ALICE })
    await reader.waitFor('connection')
    await postJson(`${nginx.url}/api/sse/managed/send/user/alice`, { event: 'hello', data: 1 }, ADMIN)
    await reader.waitFor('hello')
    expect(reader.events.map(({ type }) => type)).toEqual(['connection', 'hello'])
    expect(reader.comments).toEqual([])
  })

  it('a stream is neither buffered nor compressed, and the header that says so stays with nginx', async () => {
    const headers = { ...ALICE, 'accept-encoding': 'gzip' }
    await using direct = await EventCollector.open(gateway.url + STREAM, { headers })
    await using proxied = await EventCollector.open(nginx.url + STREAM, { headers })
    expect(direct.headers['x-accel-buffering']).toBe('no')
    expect(proxied.headers).toMatchObject({
      'content-type': direct.headers['content-type'],
      'cache-control': direct.headers['cache-control'],
    })
    expect(proxied.headers).not.toHaveProperty('content-encoding')
    expect(proxied.headers).not.toHaveProperty('x-accel-buffering')
  })

  it('tells of a task before the API that it calls has answered', async () => {
    await using api = await ScriptedUpstream.start()
    const { promise, resolve } = Promise.withResolvers<void>()
    api.script('/held', [steps.until(promise), steps.answer(200, {}, 'done')])
    const body = { tasks: [{ id: 'held', url: `${api.url}/held` }] }
    await using reader = await EventCollector.open(nginx.url + PARALLEL_TASKS, { body, headers: ALICE })
    await reader.waitFor('task_start')
    await api.waitForRequest('/held')
    expect(reader.ofType('task_complete')).toEqual([])
    resolve()
    expect((await reader.waitFor('complete')).data).toMatchObject({ status: 'succeeded' })
    await reader.ended
    expect(reader.error).toBeUndefined()
  })

  it('resumes from the id that the reader has', async () => {
    const send = (data: number) =>
      postJson(`${nginx.url}/api/sse/managed/send/user/alice`, { event: 'count', data }, ADMIN)
    await using first = await EventCollector.open(nginx.url + STREAM, { headers: ALICE })
    await first.waitFor('connection')
    await send(1)
    await first.waitFor('count')
    await first.close()
    await send(2)
    const headers = { ...ALICE, 'last-event-id': String(first.lastEventId) }
    await using second = await EventCollector.open(nginx.url + STREAM, { headers })
    expect((await second.waitFor('count')).data).toBe(2)
  })

  it('the gateway notices that a reader has left', async () => {
    const url = `${nginx.url}/api/sse/managed/status`
    const connections = async () => (await fetch(url, { headers: ADMIN })).json()
    const toldConnections = () => expect.poll(connections, { timeout: 10_000 })
    const reader = await EventCollector.open(nginx.url + STREAM, { headers: ALICE })
    await toldConnections().toMatchObject({ totalEmitters: 1 })
    await reader.close()
    await toldConnections().toMatchObject({ totalEmitters: 0 })
  })

  it.each(['/readyz', '/sse-client.html', STATUS, STREAM])(
    'HEAD of %s is what it is without nginx',
    async (path) => {
      const head = async (url: string) => {
        const { status, headers } = await fetch(url + path, { method: 'HEAD', headers: ADMIN })
        return { status, type: headers.get('content-type') }
      }
      const answer = await head(nginx.url)
      expect(answer).toEqual(await head(gateway.url))
      expect(answer.status).toBe(200)
    },
  )

  it('who comes without a token is not taken for this machine', async () => {
    await using local = await EventCollector.open(gateway.url + STREAM)
    await using proxied = await EventCollector.open(nginx.url + STREAM)
    expect([local.status, proxied.status]).toEqual([200, 401])
  })

  it('a page writes with its session, by the name and port under which nginx is asked', async () => {
    const post = (path: string, headers: Readonly<Record<string, string>>) =>
      postJson(nginx.url + path, { event: 'note', data: 1 }, headers)
    const session = await post('/api/auth/session', { authorization: 'Bearer test-token', origin: nginx.url })
    const cookie = String(session.headers.get('set-cookie')).split(';', 1).join()
    const send = async (origin: string) =>
      (await post('/api/sse/managed/send/user/demo', { cookie, origin })).status
    expect([session.status, await send(nginx.url), await send('http://127.0.0.1')]).toEqual([200, 200, 403])
  })

  it.each(['/metrics', '/metrics?x', '//metrics', '/%6detrics'])(
    '%s is not to be had, which is for the own network alone',
    async (path) => expect((await fetch(nginx.url + path)).status).toBe(404),
  )

  it('a body of more than 1 MiB is refused', async () => {
    const data = 'x'.repeat(1_048_576)
    const answer = await postJson(`${nginx.url}/api/sse/managed/broadcast`, { event: 'x', data }, ADMIN)
    expect(answer.status).toBe(413)
  })

  it('a body that nginx has to keep on disk goes through', async () => {
    const data = 'x'.repeat(100_000)
    const path = '/api/sse/managed/send/user/alice'
    const answer = await postJson(nginx.url + path, { event: 'large', data }, ADMIN)
    expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ success: true })])
  })
})

describe.skipIf(nginxPath === undefined)('nginx in front of several gateways', () => {
  const owned = new AsyncDisposableStack()
  let gateways: Server[]
  let nginx: NginxProcess
  const asked: string[] = []

  beforeAll(async () => {
    gateways = [await namedServer('one', asked), await namedServer('two', asked)]
    for (const gateway of gateways) owned.defer(() => close(gateway))
    nginx = owned.use(
      await NginxProcess.start(nginxPath ?? '', { gateways: gateways.map((one) => ({ url: urlOf(one) })) }),
    )
  })
  afterAll(() => owned.disposeAsync())
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(nginx.url + path, init)
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  }
  const asStream = { headers: { accept: 'text/event-stream' } }

  it('each is asked in turn, whoever comes', async () => {
    const texts = [await ask('/'), await ask('/'), await ask('/'), await ask('/')].map(({ text }) => text)
    expect(texts.toSorted()).toEqual(['one', 'one', 'two', 'two'])
  })

  it('asks the other for a GET that is refused for now, and gives the refusal of a POST to who sent it', async () => {
    expect(await ask('/refused-by-one')).toMatchObject({ status: 200, text: 'two' })
    const posts = [await ask('/refused', { method: 'POST' }), await ask('/refused', { method: 'POST' })]
    expect(posts.map(({ status }) => status)).toEqual([503, 503])
  })

  it('sends a POST once where its gateway dies in its midst', async () => {
    asked.length = 0
    expect((await ask('/dies', { method: 'POST' })).status).toBe(503)
    expect(asked).toHaveLength(1)
  })

  it('begins a run by a GET once', async () => {
    asked.length = 0
    const path = '/api/sse-proxy/reactive/sample-parallel/sse-emitter?dies'
    expect((await ask(path)).status).toBe(503)
    expect(asked).toHaveLength(1)
  })

  it('goes on with the one that is left', async () => {
    const [first] = gateways
    if (first === undefined) throw new Error('there are two')
    await close(first)
    for (const method of ['GET', 'POST', 'GET', 'POST']) {
      expect(await ask('/', { method })).toMatchObject({ status: 200, text: 'two' })
    }
  })

  it('has a stream come back, and says to all others when to, while there is none', async () => {
    const [, second] = gateways
    if (second === undefined) throw new Error('there are two')
    await close(second)
    const stream = await ask('/', asStream)
    expect([stream.status, stream.headers.get('content-type'), stream.text]).toEqual([
      200,
      'text/event-stream',
      'retry: 3000\n\n',
    ])
    for (const init of [{}, { ...asStream, method: 'POST' }]) {
      const refused = await ask('/', init)
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '3'])
    }
  })
})

/** A server that says its name, is not well where its path says so, and notes what it was asked. */
async function namedServer(name: string, asked: string[]): Promise<Server> {
  const server = createServer(({ method, url = '' }, response) => {
    asked.push(`${method} ${url}`)
    if (url.endsWith('dies')) response.destroy()
    else if (url === '/refused' || url === `/refused-by-${name}`) response.writeHead(503).end(name)
    else response.end(name)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function urlOf(server: Server): string {
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
