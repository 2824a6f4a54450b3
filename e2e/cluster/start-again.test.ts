import {
  allDataOf,
  dataOf,
  EventCollector,
  lastingPort,
  ScriptedUpstream,
  steps,
  TcpProxy,
} from '@tributary/testkit'
import { describeWithRedis, type TestRedis } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { startGateway, startWorker } from '../processes.ts'
import { HYBRID, postJson } from '../services.ts'
import { wholeOf } from '../whole-run.ts'
import { freeze } from './relay-nodes.ts'

const KEYED = { 'idempotency-key': 'k' }
/** A claim is believed for 15 s, behind the start of three processes. */
const LIMIT = { timeout: 120_000 }

/** Two gateways and a worker, whose answers to starts are lost: they hear too late that it has begun. */
async function openPlace(redis: TestRedis) {
  await using owned = new AsyncDisposableStack()
  const upstream = owned.use(await ScriptedUpstream.start())
  const late = Promise.withResolvers<void>()
  const answer = steps.answer(200, { 'content-type': 'application/json' }, '{}')
  upstream.script('/once', [steps.until(late.promise), answer], [answer])
  const port = await lastingPort()
  const proxy = owned.use(await TcpProxy.start(port))
  proxy.loseAnswers(/^POST \/api\/sse\/emitter/)
  const url = `http://127.0.0.1:${proxy.port}`
  const prefix = redis.prefix()
  const env = {
    REDIS_URL: redis.url,
    REDIS_PREFIX: prefix,
    NODE_LEASE_MS: '3000',
    OUTBOUND_ALLOW: '127.0.0.1',
  }
  owned.use(await startWorker({ port, env: { ...env, NODE_URL: url } }))
  const gateway = async () => owned.use(await startGateway({ workers: [{ url }], env }))
  const [one, other] = await Promise.all([gateway(), gateway()])
  const body = { remoteTasks: [{ id: 'once', url: `${upstream.url}/once`, method: 'POST' }] }
  const release = owned.move()
  return {
    upstream,
    one,
    /** Asks the first gateway, and resolves once the worker has begun and that one does not know it. */
    async start() {
      const answered = postJson(one.url + HYBRID, body, KEYED).catch((error: unknown) => error)
      await upstream.waitForRequest('/once')
      return { answered }
    },
    /** Asks the other, where no answer is lost any more. Resolves once it has accepted a run. */
    startAgain() {
      proxy.restore()
      return EventCollector.open(other.url + HYBRID, { body, headers: KEYED })
    },
    late,
    [Symbol.asyncDispose]: () => release.disposeAsync(),
  }
}

async function expectOnce(reader: EventCollector, upstream: ScriptedUpstream): Promise<void> {
  await reader.ended
  wholeOf(reader)
  expect(allDataOf(reader, 'task_complete')).toMatchObject([{ taskId: 'once' }])
  expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded', successCount: 1 })
  expect(upstream.requestsTo('/once')).toHaveLength(1)
}

describeWithRedis('a start that is asked for again, at another gateway', (redis) => {
  it(
    'goes on with what the worker had begun, where the first was killed before it had accepted the run',
    LIMIT,
    async () => {
      await using place = await openPlace(redis)
      await place.start()
      await place.one.kill()
      await using reader = await place.startAgain()
      place.late.resolve()
      await expectOnce(reader, place.upstream)
    },
  )

  it('keeps what it goes on with, where the first was frozen and comes back', LIMIT, async () => {
    await using place = await openPlace(redis)
    const { answered } = await place.start()
    const frozen = freeze(place.one)
    await using reader = await place.startAgain()
    frozen[Symbol.dispose]()
    expect(await answered).toMatchObject({ status: 503 })
    place.late.resolve()
    await expectOnce(reader, place.upstream)
  })
})
