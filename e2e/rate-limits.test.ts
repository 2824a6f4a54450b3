import { EventSource } from '@tributary/client'
import { EventCollector, FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { PARALLEL_TASKS, postJson, startGateway, startWorker } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const SEND = '/api/sse/managed/send/user/alice'
const ALICE = { authorization: 'Bearer alice-token' }
const ADMIN = { authorization: 'Bearer test-token' }

it('opens so many streams of a user, tells who comes back so in a stream, and leaves the open ones alone', async () => {
  await using gateway = await startGateway({
    clock: new FakeClock(),
    env: { RATE_LIMIT_CONNECTS: '2', MAX_CONNECTIONS_PER_USER: '0' },
  })
  const url = gateway.url + CONNECT
  await using first = await EventCollector.open(url, { headers: ALICE })
  await using second = await EventCollector.open(url, { headers: ALICE })
  await Promise.all([first.waitFor('connection'), second.waitFor('connection')])
  expect(second.headers).toMatchObject({ ratelimit: '"connects";r=0;t=60' })

  const refused = await fetch(url, { headers: ALICE })
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60'])
  expect(await refused.json()).toMatchObject({
    code: 'rate_limited',
    category: 'rate_limit',
    recovery: 'retry',
  })

  await using back = await EventCollector.open(url, {
    headers: { ...ALICE, 'last-event-id': first.lastEventId ?? '' },
  })
  await back.ended
  expect([back.status, back.lastEventId]).toEqual([200, first.lastEventId])
  expect(back.events).toMatchObject([{ type: 'disconnected', data: { reason: 'busy', reconnect: true } }])
  expect(back.retries[0]).toBeGreaterThanOrEqual(60_000)

  const sent = await postJson(gateway.url + SEND, { event: 'note', data: 1 }, ADMIN)
  expect(await sent.json()).toMatchObject({ delivered: 2 })
  expect(await first.waitFor('note')).toMatchObject({ data: 1 })
})

it('lets a user in again when the time is over', async () => {
  const clock = new FakeClock()
  await using gateway = await startGateway({ clock, env: { RATE_LIMIT_CONNECTS: '1' } })
  const open = async () => {
    await using reader = await EventCollector.open(gateway.url + CONNECT, { headers: ALICE })
    return reader.status
  }
  expect([await open(), await open()]).toEqual([200, 429])
  clock.advance(60_000)
  expect(await open()).toBe(200)
})

it('limits what a user sends, polls and starts, each for itself', async () => {
  const clock = new FakeClock()
  await using worker = await startWorker({ clock })
  await using gateway = await startGateway({
    workers: [worker],
    clock,
    env: { RATE_LIMIT_PUBLISHES: '1', RATE_LIMIT_REQUESTS: '1', RATE_LIMIT_RUNS: '1' },
  })
  const send = () => postJson(gateway.url + SEND, { event: 'note', data: 1 }, ADMIN)
  const run = () =>
    postJson(gateway.url + PARALLEL_TASKS, { tasks: ['one'] }, { ...ADMIN, accept: 'application/json' })
  const poll = () => fetch(`${gateway.url}/api/realtime/polling`, { headers: ADMIN })
  for (const ask of [send, run, poll]) {
    const [first, second] = [await ask(), await ask()]
    expect([first.ok, second.status, (await second.json()).code]).toEqual([true, 429, 'rate_limited'])
  }
  // As often as one likes: there is no limit on connects here.
  await using reader = await EventCollector.open(gateway.url + CONNECT, { headers: ADMIN })
  expect(reader.status).toBe(200)
})

it('a worker limits each user too', async () => {
  await using worker = await startWorker({ clock: new FakeClock(), env: { RATE_LIMIT_RUNS: '1' } })
  const run = (headers: Readonly<Record<string, string>>) =>
    postJson(`${worker.url}/api/sse/emitter/parallel-tasks`, { tasks: ['one'] }, headers)
  const statuses: number[] = []
  for (const headers of [ALICE, ALICE, ADMIN]) {
    const answer = await run(headers)
    statuses.push(answer.status)
    await answer.body?.cancel()
  }
  expect(statuses).toEqual([200, 429, 200])
})

describe('through a gateway', () => {
  const start = (url: string, headers: Readonly<Record<string, string>>) =>
    postJson(url + PARALLEL_TASKS, { tasks: ['one'] }, { ...headers, accept: 'application/json' })

  it('the worker limits who asks, and says so', async () => {
    const clock = new FakeClock()
    await using worker = await startWorker({ clock, env: { RATE_LIMIT_RUNS: '1' } })
    await using gateway = await startGateway({ workers: [worker], clock })
    const [first, second, other] = [
      await start(gateway.url, ALICE),
      await start(gateway.url, ALICE),
      await start(gateway.url, ADMIN),
    ]
    expect([first.status, second.status, other.status]).toEqual([202, 429, 202])
    expect([second.headers.get('retry-after'), await second.json()]).toMatchObject([
      '60',
      { code: 'rate_limited', category: 'rate_limit' },
    ])
  })

  it('what the gateway reads for itself is not limited', async () => {
    const limits = { RATE_LIMIT_CONNECTS: '1', RATE_LIMIT_REQUESTS: '1' }
    await using worker = await startWorker({ env: limits })
    await using gateway = await startGateway({ workers: [worker] })
    for (let n = 0; n < 4; n += 1) {
      const { runId } = await (await start(gateway.url, ADMIN)).json()
      await using reader = await EventCollector.open(`${gateway.url}/api/runs/${runId}/events`, {
        headers: ADMIN,
      })
      expect(await reader.waitFor('complete')).toMatchObject({ data: { status: 'succeeded' } })
    }
  })
})

describe('the client', () => {
  it('hears what kind of refusal it is, and what helps', async () => {
    await using gateway = await startGateway({ clock: new FakeClock(), env: { RATE_LIMIT_CONNECTS: '1' } })
    const url = `${gateway.url + CONNECT}?token=alice-token`
    await (await fetch(url)).body?.cancel()
    const errorOf = async (address: string) => {
      const { promise, resolve } = Promise.withResolvers<unknown>()
      const source = new EventSource(address)
      source.addEventListener('error', (event) => resolve('error' in event ? event.error : undefined))
      return promise.finally(() => source.close())
    }
    expect(await errorOf(url)).toMatchObject({ status: 429, category: 'rate_limit', recovery: 'retry' })
    expect(await errorOf(`${url}-bad`)).toMatchObject({
      category: 'authentication',
      recovery: 'reauthenticate',
    })
  })
})

it('a thousand hostile names keep nobody out', async () => {
  await using gateway = await startGateway({ clock: new FakeClock(), env: { RATE_LIMIT_REQUESTS: '2' } })
  const asking = Array.from({ length: 1_000 }, (_, user) =>
    fetch(`${gateway.url}/api/sse/managed/status/user/hostile-${user}?userId=hostile-${user}`),
  )
  for (const answer of await Promise.all(asking)) {
    expect(answer.status).toBe(200)
    await answer.body?.cancel()
  }
  const alice = await fetch(`${gateway.url}/api/sse/managed/status/user/alice`, { headers: ALICE })
  expect([alice.status, alice.headers.get('ratelimit')]).toEqual([200, '"requests";r=1;t=60'])
})
