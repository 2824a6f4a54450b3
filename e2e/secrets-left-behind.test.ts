import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastingPort } from '@tributary/testkit'
import { afterAll, describe, expect, it } from 'vitest'
import { AUDIENCE, FUTURE_S, forge, ISSUER } from './hostile/tokens.ts'
import { LeftBehind } from './left-behind.ts'
import { Marks } from './marks.ts'
import { startGateway, startWorker } from './processes.ts'
import { HYBRID, MERGE, PARALLEL_TASKS, RELAY } from './services.ts'
import { startSilentApi } from './silent-api.ts'

const CONNECT = '/api/sse/managed/connect'
const marks = new Marks()
const mark = (what: string) => marks.make(what)
const JWT_SECRET = mark('AUTH_JWT_SECRET')
/** A good token; what is searched for is its signature. */
const goodToken = (user: string, roles: readonly string[] = []) => {
  const token = forge({ secret: JWT_SECRET, claims: { sub: user, roles, exp: FUTURE_S } })
  marks.add(`the token of ${user}`, token.slice(token.lastIndexOf('.') + 1))
  return token
}
const left = new LeftBehind()
const owned = new AsyncDisposableStack()

const api = owned.use(await startSilentApi(() => `session=${mark('Set-Cookie')}`))
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'tributary-left-'))
  owned.defer(() => rm(path, { recursive: true, force: true }))
  return path
}
const [own, workerFolder, gatewayFolder] = [await folder(), await folder(), await folder()]
const secrets = join(own, 'secrets.json')
const hosts = [new URL(api.url).host]
await writeFile(
  secrets,
  JSON.stringify({
    HEADER: { value: mark('secretOfAHeader'), hosts },
    BODY: { value: mark('secretOfABody'), hosts },
  }),
)

const common = {
  NODE_ENV: 'production',
  LOG_LEVEL: 'trace',
  STORE: 'sqlite',
  DATA_DIR: 'data',
  AUTH_JWT_SECRET: JWT_SECRET,
  AUTH_JWT_ISSUER: ISSUER,
  AUTH_JWT_AUDIENCE: AUDIENCE,
  AUTH_SESSION_SECRET: mark('AUTH_SESSION_SECRET'),
  WORKER_SECRET: mark('WORKER_SECRET'),
  OUTBOUND_ALLOW: '127.0.0.1',
  SENSITIVE_HEADERS: 'X-Own-Key',
  RELAY_ALLOWED_ORIGINS: api.url,
}
const workerPort = await lastingPort()
const gatewayPort = await lastingPort()
const workerUrl = `http://127.0.0.1:${workerPort}`
const workerEnv = { ...common, TASK_SECRETS_FILE: secrets }
const gatewayEnv = { ...common, WORKER_URLS: workerUrl }
const start = async () => {
  const onLine = (name: string) => (line: string) => left.note(`the output of the ${name}`, line)
  const worker = await startWorker({
    cwd: workerFolder,
    port: workerPort,
    env: workerEnv,
    onLine: onLine('worker'),
  })
  const gateway = await startGateway({
    cwd: gatewayFolder,
    port: gatewayPort,
    env: gatewayEnv,
    workers: [worker],
    onLine: onLine('gateway'),
  })
  return { worker, gateway, kill: () => Promise.all([worker.kill(), gateway.kill()]) }
}

const user = { authorization: `Bearer ${goodToken('user')}` }
const admin = { authorization: `Bearer ${goodToken('admin', ['admin'])}` }

/** Credentials of tasks, in all the ways that keep them. */
const taskHeaders = () => ({
  Authorization: `Bearer ${mark('Authorization')}`,
  cookie: `a=${mark('Cookie')}`,
  'Proxy-Authorization': mark('ProxyAuthorization'),
  'x-api-key': mark('XApiKey'),
  'x-auth-token': mark('XAuthTokenOfATask'),
  'X-Own-Key': mark('OwnHeader'),
})
const secretTask = {
  method: 'POST',
  headers: { 'x-key': { $secret: 'HEADER' } },
  body: { deep: [{ $secret: 'BODY' }] },
}

async function useEveryCarrier(url: string): Promise<void> {
  const carriers = (make: (what: string) => string) => [
    { query: `?token=${make('query')}`, headers: {} },
    { query: `?%74oken=${make('encodedQuery')}`, headers: {} },
    { query: '', headers: { authorization: `Bearer ${make('bearer')}` } },
    { query: '', headers: { 'x-auth-token': make('xAuthToken') } },
    { query: '', headers: { cookie: `tributary_session=${make('sessionCookie')}; other=${make('cookie')}` } },
  ]
  const bad = carriers((what) => mark(`${what}At${new URL(url).port}`))
  for (const { query, headers } of bad) {
    for (const path of ['/api/runs', CONNECT, '/nowhere']) {
      const { status } = await left.ask(`${url}${path}${query}`, { headers })
      expect([401, 404]).toContain(status)
    }
  }
}

async function refuseCredentials(url: string, path: string): Promise<void> {
  const secret = () => mark('refused')
  const bodies = [
    { tasks: [{ url: `http://user:${secret()}@127.0.0.1/` }] },
    { tasks: [{ url: `ftp://user:${secret()}@127.0.0.1/` }] },
    { tasks: [{ url: api.url, headers: { authorization: `a\r\nb: ${secret()}` } }] },
    { tasks: [{ url: api.url, headers: { authorization: { $secret: secret(), more: secret() } } }] },
    { tasks: [{ url: api.url, headers: { authorization: [secret()] } }] },
    { tasks: [{ url: api.url, headers: { authorization: secret() }, timeoutMs: 'soon' }] },
  ]
  for (const body of bodies) {
    const { status } = await left.ask(url + path, { headers: user, body })
    expect([400, 422]).toContain(status)
  }
}

async function runTasks(url: string, path: string): Promise<void> {
  const headers = taskHeaders()
  const events = await left.read(url + path, 'complete', {
    headers: user,
    body: {
      tasks: [
        { id: 'ok', url: `${api.url}/ok`, headers },
        { id: 'fails', url: `${api.url}/fail`, headers, retries: 0 },
        { id: 'late', url: `${api.url}/held/late`, headers, retries: 0, timeoutMs: 100 },
        { id: 'nobody', url: `http://127.0.0.1:${await lastingPort()}/`, headers, retries: 0 },
        { id: 'secret', url: `${api.url}/ok`, ...secretTask },
        { id: 'elsewhere', url: 'http://localhost:1/', ...secretTask },
      ],
    },
  })
  const codes = events.filter(({ type }) => type === 'error').map(({ data }) => Object(data).code)
  expect(codes.toSorted()).toEqual(['connection_refused', 'http_5xx', 'secret_refused', 'task_timeout'])
}

/** Starts runs that are under way when all is killed. Answers their ids. */
async function startHeld(gateway: string): Promise<string[]> {
  const json = { ...user, accept: 'application/json' }
  const tasks = [
    { id: 'credential', url: `${api.url}/held/c`, headers: taskHeaders() },
    { id: 'secret', idempotent: true, url: `${api.url}/held/s`, ...secretTask },
    { id: 'open', url: `${api.url}/held/o` },
  ]
  const starts = [
    left.ask(gateway + PARALLEL_TASKS, { headers: json, body: { tasks } }),
    left.ask(gateway + HYBRID, { headers: json, body: { remoteTasks: tasks } }),
  ]
  return (await Promise.all(starts)).map(({ headers }) => headers.get('run-id') ?? '')
}

async function lookEverywhere(gateway: string, worker: string, runIds: readonly string[]): Promise<void> {
  for (const url of [gateway, worker]) {
    const paths = [
      '/metrics',
      '/healthz',
      '/readyz',
      '/api/runs',
      '/docs/json',
      ...runIds.map((id) => `/api/runs/${id}`),
    ]
    for (const path of paths) await left.ask(url + path, { headers: admin })
  }
  for (const path of [
    '/api/sse/metrics',
    '/api/realtime/monitor',
    '/api/sse/health?details=true',
    '/api/sse/managed/connections',
  ]) {
    expect((await left.ask(gateway + path, { headers: admin })).status, path).toBe(200)
  }
  for (const name of ['gateway', 'worker'] as const) {
    await left.notePrintedConfig(name, name === 'gateway' ? gatewayEnv : workerEnv)
  }
}

const PLANTED = 'planted0123456789abcdefghij'

describe('a session with secrets', () => {
  afterAll(() => owned.disposeAsync())

  it('goes on after a crash with what needs no credential of a request, and loses the rest', async () => {
    const first = await start()
    const gateway = first.gateway.url
    for (const url of [gateway, workerUrl]) await useEveryCarrier(url)
    for (const who of ['byQuery', 'byHeader']) {
      const token = goodToken(who)
      const by = who === 'byQuery' ? { query: `?token=${token}` } : { headers: { 'x-auth-token': token } }
      await left.read(gateway + CONNECT + (by.query ?? ''), 'connection', { headers: by.headers ?? {} })
    }
    await refuseCredentials(gateway, PARALLEL_TASKS)
    await refuseCredentials(workerUrl, '/api/sse/emitter/parallel-tasks')
    for (const [path, body] of [
      [RELAY, { endpoint: `http://user:${mark('userinfoOfARelay')}@127.0.0.1/` }],
      [MERGE, [`ftp://user:${mark('userinfoOfAMerge')}@127.0.0.1/`]],
    ] as const) {
      expect((await left.ask(gateway + path, { headers: user, body })).status).toBe(422)
    }
    await runTasks(gateway, PARALLEL_TASKS)
    await runTasks(workerUrl, '/api/sse/emitter/parallel-tasks')
    await left.ask(`${gateway}/api/sse/managed/broadcast`, {
      headers: admin,
      body: { event: 'planted', data: PLANTED },
    })
    await left.ask(`${gateway}/nowhere/${PLANTED}`)
    const runIds = await startHeld(gateway)
    await api.called(2 + 6)
    left.noteFiles(workerFolder)
    left.noteFiles(gatewayFolder)
    await first.kill()
    api.free()
    const second = await start()
    for (const runId of runIds) {
      const events = await left.read(`${gateway}/api/runs/${runId}/events?since=0`, 'complete', {
        headers: user,
      })
      const ends = events.filter(({ type }) => type === 'task_error' || type === 'task_complete')
      expect(
        ends.map(({ type, data }) => [Object(data).taskId, Object(data).code ?? type]).toSorted(),
      ).toEqual([
        ['credential', 'worker_lost'],
        ['open', 'task_complete'],
        ['secret', 'task_complete'],
      ])
    }
    await lookEverywhere(gateway, workerUrl, runIds)
    left.noteFiles(workerFolder)
    left.noteFiles(gatewayFolder)
    await second.gateway.stop()
    await second.worker.stop()
    left.noteFiles(workerFolder)
    left.noteFiles(gatewayFolder)
  }, 240_000)

  it('leaves none of them behind', () => {
    expect(marks.all.length).toBeGreaterThan(60)
    const found = marks.all.map(({ what, text }) => [what, left.placesOf(text)] as const)
    expect(found.filter(([, places]) => places.length > 0)).toEqual([])
  })

  it('would have been found out: what was said aloud stands in the log, in an answer and in the file', () => {
    const places = left.placesOf(PLANTED)
    expect(places).toEqual(expect.arrayContaining(['the output of the gateway', 'gateway.db-wal']))
    const text = mark('base64')
    left.note('here', `x${Buffer.from(`user:${text}`).toString('base64')}`)
    expect(left.placesOf(text)).toEqual(['here'])
  })
})
