import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StoreUnavailableError } from '@tributary/eventlog'
import { EventCollector, FakeClock, lastingPort } from '@tributary/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { postJson, startGateway, startWorker } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const BROADCAST = '/api/sse/managed/broadcast'
const HEALTH = '/api/sse/health'
const ALICE = { authorization: 'Bearer alice-token' }

type Target = { readonly url: string }

async function ask({ url }: Target, path: string, headers: Readonly<Record<string, string>> = {}) {
  const answer = await fetch(url + path, { headers })
  return { status: answer.status, body: await answer.json() }
}

async function act({ url }: Target, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const answer = await postJson(url + HEALTH, body, headers)
  return { status: answer.status, body: await answer.json() }
}

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'health-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** The log that a service appends to when it probes itself, as it has it. */
function logOf(service: Awaited<ReturnType<typeof startGateway | typeof startWorker>>, name: string) {
  return service.deps.store.open(name, { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) })
}

describe.each([
  ['gateway', startGateway, 'gateway.db', 'hub'],
  ['worker', startWorker, 'worker.db', 'probe'],
] as const)('the readiness of the %s', (_name, start, file, logName) => {
  it('is earned by an event, and the next second answers by the same', async () => {
    const clock = new FakeClock()
    await using service = await start({ clock })
    const first = await ask(service, '/readyz')
    expect(first).toMatchObject({ status: 200, body: { status: 'ready', probe: { ageMs: 0 } } })
    clock.advance(999)
    const second = await ask(service, '/readyz')
    expect(second.body.probe).toEqual({ ...first.body.probe, ageMs: 999 })
  })

  it('is gone where the file of the store is, though its process lives', async () => {
    const clock = new FakeClock()
    const folder = await emptyFolder()
    await using service = await start({ clock, env: { STORE: 'sqlite', DATA_DIR: folder } })
    expect((await ask(service, '/readyz')).status).toBe(200)
    await rm(join(folder, file))
    clock.advance(30_000)
    const refused = await ask(service, '/readyz')
    expect(refused).toMatchObject({ status: 503, body: { code: 'store_unavailable', retryable: true } })
    expect(await ask(service, '/healthz')).toMatchObject({ status: 200, body: { status: 'degraded' } })
  })

  it('is gone while the store refuses, and comes back', async () => {
    await using service = await start()
    const log = await logOf(service, logName)
    const { append } = log
    log.append = () => Promise.reject(new StoreUnavailableError('the disk is full'))
    expect(await ask(service, '/readyz')).toMatchObject({ status: 503, body: { code: 'store_unavailable' } })
    log.append = append
    expect((await ask(service, '/readyz')).status).toBe(200)
  })

  it('is gone where nothing comes back', async () => {
    const clock = new FakeClock()
    await using service = await start({ clock })
    const log = await logOf(service, logName)
    const begun = Promise.withResolvers<void>()
    log.append = () => {
      begun.resolve()
      return new Promise(() => undefined)
    }
    const asked = ask(service, '/readyz')
    await begun.promise
    clock.advance(1_500)
    expect(await asked).toMatchObject({ status: 503, body: { code: 'not_ready', retryable: true } })
  })

  it('is gone once the drain has begun, while what watches it is answered', async () => {
    await using service = await start()
    await service.deps.drain.begin()
    expect(await ask(service, '/readyz')).toMatchObject({ status: 503, body: { code: 'draining' } })
    expect(await ask(service, '/healthz')).toMatchObject({ status: 200, body: { status: 'draining' } })
    expect((await fetch(`${service.url}/metrics`)).status).toBe(200)
  })
})

describe('the health of the gateway', () => {
  it('is told part by part', async () => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    await using stream = await EventCollector.open(gateway.url + CONNECT)
    await stream.waitFor('connection')
    const { status, body } = await ask(gateway, HEALTH, ALICE)
    expect([status, body]).toMatchObject([
      200,
      {
        connections: { total: 1, local: { total: 1 } },
        errorRate: 0,
        components: { store: { status: 'ok' }, fanOut: { status: 'ok' }, 'worker-1': { status: 'ok' } },
      },
    ])
    expect(Object.keys(body.components)).toEqual(['store', 'fanOut', 'eventLoop', 'memory', 'worker-1'])
    expect(body.details).toBeUndefined()
  })

  it('has more for admins, and for nobody else', async () => {
    await using gateway = await startGateway({
      workers: [{ url: `http://127.0.0.1:${await lastingPort()}` }],
    })
    expect(await ask(gateway, `${HEALTH}?details=true`, ALICE)).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    })
    const { body } = await ask(gateway, `${HEALTH}?details=true`)
    expect(body.details).toMatchObject({
      metrics: { activeConnections: 0 },
      upstreams: [{ name: 'worker-1', state: 'down', streams: 0 }],
      probe: { ageMs: expect.any(Number) },
    })
  })

  it('is degraded where a worker is away, and failing where no event flows', async () => {
    await using gateway = await startGateway()
    const away = await ask(gateway, HEALTH)
    expect(away.body).toMatchObject({ status: 'degraded', components: { 'worker-1': { status: 'failing' } } })
    await using other = await startGateway()
    const log = await logOf(other, 'hub')
    log.append = () => Promise.reject(new StoreUnavailableError('the disk is full'))
    expect((await postJson(other.url + BROADCAST, { data: 1 })).status).toBe(503)
    expect((await ask(other, HEALTH)).body).toMatchObject({
      status: 'failing',
      errorRate: 1,
      components: { fanOut: { status: 'failing', reason: expect.stringContaining('the disk is full') } },
    })
    expect((await ask(other, '/api/sse/metrics')).body).toMatchObject({ errors: 1, errorRate: 1 })
  })

  it('is failing where the file of the store is gone', async () => {
    const clock = new FakeClock()
    const folder = await emptyFolder()
    await using gateway = await startGateway({ clock, env: { STORE: 'sqlite', DATA_DIR: folder } })
    await rm(join(folder, 'gateway.db'))
    clock.advance(30_000)
    expect((await ask(gateway, HEALTH)).body).toMatchObject({
      status: 'failing',
      components: { store: { status: 'failing', reason: expect.stringContaining('gateway.db') } },
    })
  })
})

describe('an admin', () => {
  it('sends everybody a heartbeat, and is told how many took it', async () => {
    await using gateway = await startGateway()
    const open = () => EventCollector.open(gateway.url + CONNECT)
    await using first = await open()
    await using second = await open()
    await Promise.all([first.waitFor('connection'), second.waitFor('connection')])
    expect(await act(gateway, { action: 'health_check' })).toEqual({
      status: 200,
      body: {
        success: true,
        action: 'health_check',
        connections: 2,
        sent: 2,
        acknowledged: [expect.any(String)],
      },
    })
    await Promise.all([first.waitFor('heartbeat'), second.waitFor('heartbeat')])
  })

  it('closes a connection by force, and its reader is told why', async () => {
    await using gateway = await startGateway()
    await using stream = await EventCollector.open(gateway.url + CONNECT)
    const { data } = await stream.waitFor('connection')
    const { emitterId: connectionId } = data as { emitterId: string }
    const body = { action: 'force_disconnect', connectionId, reason: 'moved' }
    expect(await act(gateway, body)).toEqual({
      status: 200,
      body: {
        success: true,
        action: 'force_disconnect',
        connectionId,
        acknowledged: [expect.any(String)],
      },
    })
    const end = await stream.waitFor('disconnected')
    expect(end.data).toEqual({ reason: 'forced', reconnect: false, message: 'moved' })
    expect(await act(gateway, body)).toMatchObject({ status: 404, body: { code: 'connection_not_found' } })
  })

  it('is who it takes, and what is asked must be known', async () => {
    await using gateway = await startGateway()
    expect(await act(gateway, { action: 'health_check' }, ALICE)).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    })
    for (const body of [{}, { action: 'restart' }, { action: 'force_disconnect' }]) {
      expect(await act(gateway, body)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    }
  })
})
