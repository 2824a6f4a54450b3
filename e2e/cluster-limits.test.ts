import { dataOf, EventCollector, ScriptedUpstream } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { SignJWT } from 'jose'
import { expect, it } from 'vitest'
import { startWorker as startWorkerProcess } from './processes.ts'
import { postJson, runIdOf, startGateway, startWorker } from './services.ts'

const SECRET = 'a secret of thirty-two characters'
const ALICE = { authorization: 'Bearer alice-token' }
const BOB = { authorization: 'Bearer bob-token' }
const ADMIN = { authorization: 'Bearer test-token' }
const TASKS = '/api/sse/emitter/parallel-tasks'
const REVOCATIONS = '/api/auth/revocations'

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

function signed(claims: Readonly<Record<string, unknown>>): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime('2h')
    .sign(new TextEncoder().encode(SECRET))
}

describeWithRedis('nodes that share a Redis', (redis) => {
  const cluster = (more: Readonly<Record<string, string>> = {}) => ({
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix(),
    ...more,
  })

  it('let a user send no more requests than one would', async () => {
    const env = cluster({ RATE_LIMIT_REQUESTS: '4' })
    await using a = await startGateway({ env })
    await using b = await startGateway({ env })
    const ask = async ({ url }: typeof a, headers = ALICE) =>
      (await fetch(`${url}/api/runs`, { headers })).status
    const statuses = [await ask(a), await ask(b), await ask(a), await ask(b), await ask(a), await ask(b)]
    expect(statuses.slice(4)).toEqual([429, 429])
    expect(statuses.slice(0, 4).every((status) => status !== 429)).toBe(true)
    expect(await ask(b, BOB)).not.toBe(429)
    const health = await (await fetch(`${a.url}/healthz`)).json()
    expect(health.components.limits).toEqual({ status: 'ok' })
  })

  it('let a user have no more runs, and read no more of them, than one would', async () => {
    const api = await ScriptedUpstream.start()
    await using _api = api.route('/held', () => undefined)
    const env = cluster({
      MAX_RUNS_PER_USER: '2',
      MAX_RUN_STREAMS_PER_USER: '3',
      OUTBOUND_ALLOW: '127.0.0.1',
      DRAIN_MS: '500',
    })
    await using a = await startWorkerProcess({ env })
    await using b = await startWorkerProcess({ env })
    const body = { tasks: [{ id: 'a', url: `${api.url}/held` }] }
    const open = (url: string) => EventCollector.open(url, { body, headers: ALICE })
    await using first = await open(a.url + TASKS)
    await using _second = await open(b.url + TASKS)
    for (const { url } of [a, b]) {
      const refused = await postJson(url + TASKS, body, { ...ALICE, accept: 'application/json' })
      expect([refused.status, (await refused.json()).code]).toEqual([429, 'user_run_limit'])
      expect((await postJson(url + TASKS, body, { ...BOB, accept: 'application/json' })).status).toBe(202)
    }
    const events = `${a.url}/api/runs/${runIdOf(first)}/events`
    await using _third = await EventCollector.open(events, { headers: ALICE })
    const refused = await fetch(events, { headers: ALICE })
    expect([refused.status, (await refused.json()).code]).toEqual([429, 'user_connection_limit'])
    await postJson(`${a.url}/api/runs/${runIdOf(first)}/cancel`, {}, ALICE)
    await first.ended
    await expect
      .poll(
        async () => (await postJson(b.url + TASKS, body, { ...ALICE, accept: 'application/json' })).status,
      )
      .toBe(202)
  })

  it('have in force what is revoked at any of them, also one that starts later', async () => {
    const env = cluster({ AUTH_JWT_SECRET: SECRET })
    await using a = await startGateway({ env })
    await using b = await startGateway({ env })
    await using worker = await startWorker({ env })
    const ann = await signed({ sub: 'ann' })
    const root = bearer(await signed({ sub: 'root', roles: ['admin'] }))
    const connect = ({ url }: { url: string }) =>
      EventCollector.open(`${url}/api/sse/managed/connect?token=${ann}`)
    const streams = [await connect(a), await connect(b), await connect(b)]
    for (const stream of streams) await stream.waitFor('connection')
    const answer = await (await postJson(worker.url + REVOCATIONS, { userId: 'ann' }, root)).json()
    expect(answer).toMatchObject({ success: true, closed: 3, revocation: { userId: 'ann' } })
    expect(answer.unreachable).toBeUndefined()
    expect(new Set(answer.acknowledged).size).toBe(3)
    for (const stream of streams) {
      expect(await dataOf(stream, 'disconnected')).toMatchObject({ reason: 'forced', reconnect: false })
      await stream.ended
    }
    await using later = await startGateway({ env })
    for (const { url } of [a, b, worker, later]) {
      const refused = await fetch(`${url}/api/runs`, { headers: bearer(ann) })
      expect([refused.status, (await refused.json()).code]).toEqual([401, 'token_revoked'])
    }
    const lifted = await fetch(`${a.url}${REVOCATIONS}?userId=ann`, { method: 'DELETE', headers: root })
    expect(lifted.status).toBe(200)
    for (const { url } of [a, b, worker, later])
      expect((await fetch(`${url}/api/runs`, { headers: bearer(ann) })).status).not.toBe(401)
  })

  it('give a session to who named it first, at whichever of them', async () => {
    const env = cluster()
    await using a = await startGateway({ env })
    await using b = await startGateway({ env })
    const path = '/api/sse/managed/connect?sessionId=s1'
    await using mine = await EventCollector.open(a.url + path, { headers: ALICE })
    await mine.waitFor('connection')
    await using alsoMine = await EventCollector.open(b.url + path, { headers: ALICE })
    await alsoMine.waitFor('connection')
    const refused = await fetch(b.url + path, { headers: BOB })
    expect([refused.status, (await refused.json()).code]).toEqual([403, 'forbidden'])
  })

  it('find that they fit to what the cluster knows of them', async () => {
    await using gateway = await startGateway({ env: cluster({ MAX_RUNS_PER_USER: '2' }) })
    const answer = await postJson(`${gateway.url}/api/sse/health`, { action: 'consistency_check' }, ADMIN)
    expect(await answer.json()).toMatchObject({ report: { found: [], skipped: [] } })
  })
})
