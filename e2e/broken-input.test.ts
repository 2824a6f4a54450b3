import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { faultOf } from '@tributary/protocol'
import { allDataOf, dataOf, EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ServiceProcess, startGateway, startWorker } from './processes.ts'
import { HYBRID, MERGE, PARALLEL_TASKS, postJson, RELAY } from './services.ts'

const MEGABYTE = 1_048_576
/** A heap with no room to put off collecting, so that what a process holds is what it needs. */
const NODE_OPTIONS = '--max-old-space-size=160 --max-semi-space-size=4'

let upstream: ScriptedUpstream
let worker: ServiceProcess
let gateway: ServiceProcess
let healthy: HealthyStream
let residentAtFirst: number[]

beforeAll(async () => {
  upstream = await ScriptedUpstream.start()
  upstream
    .script('/half', [steps.raw('event: tick\ndata: {"n":1}\n\nevent: tick\ndata: {"n"'), steps.destroy()])
    .script('/huge', [
      steps.frame({ event: 'tick', data: { n: 1 } }),
      steps.hugeLine(200 * MEGABYTE),
      steps.end(),
    ])
    .route('/silent', () => undefined)
    .script('/html', [steps.html()])
    .script('/private', [steps.redirect('http://127.0.0.1:1/secret')])
    .script('/good', [steps.frame({ event: 'tick', data: { n: 1 } }), steps.end()])
  const { host } = new URL(upstream.url)
  worker = await startWorker({ env: { OUTBOUND_ALLOW: host, HEARTBEAT_MS: '100', NODE_OPTIONS } })
  gateway = await startGateway({
    workers: [worker],
    env: { RELAY_ALLOWED_ORIGINS: upstream.url, UPSTREAM_READ_TIMEOUT_MS: '500', NODE_OPTIONS },
  })
  healthy = await HealthyStream.open(gateway.url)
  residentAtFirst = await residentBytes()
})

afterAll(async () => {
  await healthy.close()
  await gateway.stop()
  await worker.stop()
  await upstream.close()
})

/** Linux tells; elsewhere nothing is known. */
function residentBytes(): Promise<number[]> {
  if (process.platform !== 'linux') return Promise.resolve([0, 0])
  const ofProcess = async ({ pid }: ServiceProcess) =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
  return Promise.all([worker, gateway].map(ofProcess))
}

/** A stream beside it all, which must miss nothing. */
class HealthyStream {
  readonly #reader: EventCollector
  readonly #url: string
  #sent = 0

  private constructor(reader: EventCollector, url: string) {
    this.#reader = reader
    this.#url = url
  }

  static async open(url: string): Promise<HealthyStream> {
    const reader = await EventCollector.open(`${url}/api/sse/managed/connect?events=beside&groups=beside`)
    await reader.waitFor('connection')
    return new HealthyStream(reader, url)
  }

  /** Sends it one more, and holds that it has come, after all of those before. */
  async goesOn(): Promise<void> {
    const number = ++this.#sent
    await postJson(`${this.#url}/api/sse/managed/broadcast/group/beside`, { event: 'beside', data: number })
    await this.#reader.waitForCount('beside', number)
    expect(this.#reader.ofType('beside').map(({ data }) => data)).toEqual(
      Array.from({ length: number }, (_, index) => index + 1),
    )
  }

  close(): Promise<void> {
    return this.#reader.close()
  }
}

const POSTS: [service: 'gateway' | 'worker', path: string][] = [
  ['gateway', '/api/sse'],
  ['gateway', '/api/realtime/test'],
  ['gateway', '/api/sse/managed/send/user/u'],
  ['gateway', '/api/sse/managed/broadcast/group/g'],
  ['gateway', '/api/sse/managed/broadcast'],
  ['gateway', '/api/sse/managed/send/filtered'],
  ['gateway', '/api/sse/managed/connections/none/subscriptions'],
  ['gateway', PARALLEL_TASKS],
  ['gateway', MERGE],
  ['gateway', RELAY],
  ['gateway', HYBRID],
  ['worker', '/api/sse/emitter/parallel-tasks'],
]

const urlOf = (service: 'gateway' | 'worker') => (service === 'gateway' ? gateway.url : worker.url)

/** Sends bytes as they are, then no more, and answers with what comes back. */
async function sendBytes(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.end(bytes)
  return text(socket)
}

describe.each(POSTS)('the %s at POST %s', (service, path) => {
  const json = { 'content-type': 'application/json' }
  it.each([
    ['what is not JSON', { headers: json, body: '{"event": ' }, 400, 'invalid_json'],
    ['no body', { headers: json, body: '' }, 400, 'invalid_json'],
    [
      'another content type',
      { headers: { 'content-type': 'text/plain' }, body: '{}' },
      415,
      'unsupported_media_type',
    ],
    ['no content type', { headers: {}, body: new Blob(['{}']) }, 415, 'unsupported_media_type'],
    [
      '10 MB',
      { headers: json, body: JSON.stringify({ event: 'x', data: 'x'.repeat(10 * MEGABYTE) }) },
      413,
      'payload_too_large',
    ],
    ['a prototype', { headers: json, body: '{"__proto__": {"admin": true}}' }, 400, 'invalid_request'],
    ['300 levels', { headers: json, body: `${'['.repeat(300)}${']'.repeat(300)}` }, 400, 'invalid_request'],
  ])('refuses %s', async (_, init, status, code) => {
    const answer = await fetch(urlOf(service) + path, { method: 'POST', ...init })
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(await answer.json()).toMatchObject({ status, code })
    expect(answer.status).toBe(status)
    await healthy.goesOn()
  })

  it('refuses a body that is cut off', async () => {
    const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`
    for (const bytes of [
      'Content-Length: 100\r\n\r\n{"event":',
      'Transfer-Encoding: chunked\r\n\r\n5\r\n{"e',
    ]) {
      const answer = await sendBytes(urlOf(service), head + bytes)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code: 'invalid_request' })
    }
    await healthy.goesOn()
  })
})

const long = 'x'.repeat(129)
describe('the edges of the schemas', () => {
  it.each<[string, string, unknown, number, string, string]>([
    ['POST', '/api/sse', { data: 1 }, 400, 'invalid_request', 'event'],
    ['POST', '/api/sse', { event: 'a\nb' }, 400, 'invalid_request', 'body/event'],
    ['POST', '/api/sse', { event: '' }, 400, 'invalid_request', 'body/event'],
    ['POST', '/api/sse', { event: 'x', userIds: [] }, 400, 'invalid_request', 'body/userIds'],
    ['POST', '/api/sse', { event: 'x', userId: long }, 400, 'invalid_request', 'body/userId'],
    ['POST', '/api/sse', { event: 'x', priority: 'urgent' }, 400, 'invalid_request', 'body/priority'],
    ['POST', '/api/sse', { event: 'x', ephemeral: 'yes' }, 400, 'invalid_request', 'body/ephemeral'],
    ['POST', '/api/sse', { event: 'x', unknown: 1 }, 400, 'invalid_request', 'unknown'],
    ['POST', '/api/sse', { event: 'x', data: 'x'.repeat(131_073) }, 413, 'event_too_large', '131072'],
    ['POST', '/api/sse/managed/send/user/u', { event: 1 }, 400, 'invalid_request', 'body/event'],
    ['POST', `/api/sse/managed/send/user/${long}`, {}, 400, 'invalid_request', 'path/userId'],
    ['POST', `/api/sse/managed/broadcast/group/${long}`, {}, 400, 'invalid_request', 'path/groupId'],
    ['POST', '/api/sse/managed/send/filtered', { data: 1 }, 400, 'invalid_request', 'where'],
    ['POST', '/api/realtime/test', { type: 'x', target: 'nobody' }, 400, 'invalid_request', 'body/target'],
    ['POST', '/api/realtime/test', { type: 'x', target: 'user' }, 400, 'invalid_request', 'body/targetValue'],
    [
      'POST',
      '/api/sse/managed/connections/none/subscriptions',
      { join: [''] },
      400,
      'invalid_request',
      'body/join/0',
    ],
    ['POST', RELAY, {}, 400, 'invalid_request', 'endpoint'],
    ['POST', RELAY, { endpoint: '/x', method: 'TRACE' }, 400, 'invalid_request', 'body/method'],
    ['POST', MERGE, [{ name: '', endpoint: '/x' }], 400, 'invalid_request', 'body/0'],
    ['POST', HYBRID, { localTasks: {} }, 400, 'invalid_request', 'body/localTasks'],
    ['GET', '/api/sse?timeout=0', undefined, 400, 'invalid_request', 'timeout'],
    ['GET', '/api/sse?timeout=soon', undefined, 400, 'invalid_request', 'timeout'],
    ['GET', '/api/sse?format=xml', undefined, 400, 'invalid_request', 'format'],
    ['GET', '/api/sse?lastEventId=x%20y', undefined, 400, 'invalid_cursor', 'x y'],
    ['GET', '/api/sse?sessionId=', undefined, 400, 'invalid_request', 'sessionId'],
    ['GET', `/api/sse?groups=a,${long}`, undefined, 400, 'invalid_request', 'groups'],
    ['GET', '/api/sse?metadata=[1]', undefined, 400, 'invalid_request', 'metadata'],
    ['GET', '/api/sse?metadata={', undefined, 400, 'invalid_request', 'metadata'],
    ['GET', `/api/sse/managed/connect/group/${long}`, undefined, 400, 'invalid_request', 'groupId'],
    ['GET', '/api/runs/a.b', undefined, 400, 'invalid_request', 'runId'],
    ['GET', '/api/runs/none/events', undefined, 404, 'run_not_found', 'none'],
    ['GET', '/api/runs/%zz', undefined, 400, 'invalid_request', 'percent-encoded'],
    [
      'DELETE',
      `/api/sse/managed/connections/x?reason=${'x'.repeat(513)}`,
      undefined,
      400,
      'invalid_request',
      'reason',
    ],
    ['PUT', '/api/sse', {}, 405, 'method_not_allowed', 'GET'],
    ['GET', '/api/nothing', undefined, 404, 'not_found', '/api/nothing'],
  ])('%s %s with %j is a problem', async (method, path, body, status, code, said) => {
    const sent =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const answer = await fetch(gateway.url + path, { method, ...sent })
    const problem = await answer.text()
    expect({ status: answer.status, code: JSON.parse(problem).code }).toEqual({ status, code })
    expect(problem).toContain(said)
  })

  it.each([
    ['/api/sse/flow-example?count=0', 'count'],
    ['/api/sse/flow-example?count=1001', 'count'],
    ['/api/sse/flow-example?intervalMs=x', 'intervalMs'],
    ['/api/sample/slow?ms=60001', 'ms'],
    ['/api/sample/large?bytes=0', 'bytes'],
    ['/api/sample/users/x', 'id'],
  ])('GET %s of the worker is a problem', async (path, said) => {
    const answer = await fetch(worker.url + path)
    const problem = await answer.text()
    expect({ status: answer.status, code: JSON.parse(problem).code }).toEqual({
      status: 400,
      code: 'invalid_request',
    })
    expect(problem).toContain(said)
  })
})

const FAULTS: [what: string, path: string, code: string, error: string][] = [
  ['sends half a frame and dies', '/half', 'connection_reset', 'Connection reset'],
  ['sends a line of 200 MB', '/huge', 'event_too_large', 'An event is longer than the reader allows'],
  ['never sends its headers', '/silent', 'task_timeout', 'Task timeout'],
  ['answers HTML', '/html', 'upstream_failed', 'The answer is text/html, not text/event-stream'],
  ['redirects to a private address', '/private', 'upstream_failed', 'The answer was HTTP 302'],
  ['is not found', '/none', 'http_4xx', 'The answer was HTTP 404'],
]

describe('an upstream that', () => {
  it.each(FAULTS)('%s ends a relay with a clear error', async (_, path, code, error) => {
    const endpoint = upstream.url + path
    await using reader = await EventCollector.open(gateway.url + RELAY, { body: { endpoint } })
    await reader.ended
    expect(allDataOf(reader, 'source_error')).toEqual([{ source: endpoint, code, ...faultOf(code), error }])
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'failed', errorCount: 1 })
    await healthy.goesOn()
  })

  it.each(FAULTS)('%s is told in a merge, and the others go on', async (_, path, code, error) => {
    const body = ['/good', path].map((each) => ({ name: each, endpoint: upstream.url + each }))
    await using reader = await EventCollector.open(gateway.url + MERGE, { body })
    await reader.ended
    expect(allDataOf(reader, 'source_error')).toEqual([{ source: path, code, ...faultOf(code), error }])
    expect(allDataOf(reader, 'source_complete')).toEqual([{ source: '/good' }])
    expect(reader.ofType('tick')).toContainEqual(expect.objectContaining({ data: { n: 1, source: '/good' } }))
    expect(await dataOf(reader, 'complete')).toMatchObject({
      status: 'partial',
      successCount: 1,
      errorCount: 1,
    })
    await healthy.goesOn()
  })

  it('does any of it is a failed task or a cut body, and the others go on', async () => {
    const tasks = ['/half', '/huge', '/silent', '/html', '/private', '/good'].map((path) => ({
      id: path,
      url: upstream.url + path,
      timeoutMs: path === '/silent' ? 300 : 20_000,
      retries: 0,
    }))
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, {
      body: { tasks, maxResultBytes: 64 },
    })
    await reader.waitFor('complete', 30_000)
    const codes = Object.fromEntries(allDataOf(reader, 'error').map(({ taskId, code }) => [taskId, code]))
    expect(codes).toEqual({
      '/half': 'connection_reset',
      '/silent': 'task_timeout',
      '/private': 'address_refused',
    })
    const cut = Object.fromEntries(
      allDataOf(reader, 'task_complete').map(({ taskId, result }) => [taskId, result.truncated]),
    )
    expect(cut).toEqual({ '/huge': true, '/html': false, '/good': false })
    await healthy.goesOn()
  })
})

it('leaves both processes there, and no larger than they were', async () => {
  for (const { url } of [worker, gateway]) expect((await fetch(`${url}/healthz`)).status).toBe(200)
  await healthy.goesOn()
  const grown = (await residentBytes()).map((bytes, index) => bytes - (residentAtFirst[index] ?? 0))
  // Bodies of 10 MB and lines of 200 MB went at them.
  for (const bytes of grown) expect(bytes).toBeLessThan(150 * MEGABYTE)
  for (const { output } of [worker, gateway]) expect(output).not.toMatch(/"level":(50|60)|internal_error/)
})
