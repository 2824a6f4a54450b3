import { describe, expect, it } from 'vitest'
import { eventsOf } from './fast-path/http-answer.ts'
import { RawClient, request, streamOf } from './fast-path/raw-client.ts'
import { leftOf, NOTHING_LEFT, PATIENT } from './fast-path/served-streams.ts'
import { NODES, StreamProcess } from './fast-path/stream-process.ts'

/** Under each Node; in all 12,000. */
const CONNECTIONS = 6_000
const AT_A_TIME = 64
const SEED = 20_261_121
/** What the head of an answer and an event have at least. */
const LEAST_HEAD_BYTES = 250
const LEAST_EVENT_BYTES = 60

/** Mulberry32: numbers from 0 to 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** One connection of the storm. */
interface Visit {
  readonly client: RawClient
  readonly upTo: (most: number) => number
}

interface Plan {
  readonly script: string
  readonly events: number
}

function plan(upTo: (most: number) => number): Plan {
  const steps = Array.from({ length: upTo(5) }, () => ({ kind: 'sbst'[upTo(3)] ?? 's', count: 1 + upTo(12) }))
  const replayed = upTo(3)
  const events = steps.reduce((sum, { kind, count }) => sum + (kind === 't' ? 0 : count), replayed)
  return { script: [`r${replayed}`, ...steps.map(({ kind, count }) => kind + count)].join(), events }
}

function expectWhole(body: Buffer | undefined, { events }: Plan): void {
  const expected = ['connection', ...Array.from({ length: events }, (_, n) => n), 'complete', 'disconnected']
  expect(body && eventsOf(body)).toEqual(expected)
}

/** Leaves at some byte of a stream of which so many events come for sure. */
async function leaveAt({ client, upTo }: Visit, events: number): Promise<void> {
  const bytes = upTo(LEAST_HEAD_BYTES + events * LEAST_EVENT_BYTES)
  await client.until(({ byteLength }) => byteLength >= bytes)
  if (upTo(1) === 0) client.socket.resetAndDestroy()
  else client.socket.destroy()
}

/** What connections do. Each throws where what it gets is not as it must be. */
const VISITS: ((visit: Visit) => Promise<void>)[] = [
  async function reads({ client, upTo }) {
    const planned = plan(upTo)
    client.send(request(streamOf(`${planned.script},e`, upTo(300))))
    const [answer] = await client.answers()
    expect(answer?.complete).toBe(true)
    expectWhole(answer?.body, planned)
  },
  async function readsLate({ client, upTo }) {
    const planned = plan(upTo)
    client.socket.pause()
    client.send(request(streamOf(`${planned.script},e`, 5_000)))
    for (let turn = upTo(20); turn > 0; turn--) await new Promise(setImmediate)
    client.socket.resume()
    const [answer] = await client.answers()
    expectWhole(answer?.body, planned)
  },
  async function leaves(visit) {
    const { script, events } = plan(visit.upTo)
    visit.client.send(request(streamOf(script, 50)))
    await leaveAt(visit, events)
  },
  async function leavesInItsRequest({ client, upTo }) {
    const text = request(streamOf('s5'))
    client.send(text.slice(0, upTo(text.length)))
    for (let turn = upTo(4); turn > 0; turn--) await new Promise(setImmediate)
    client.socket.resetAndDestroy()
  },
  async function leavesAtOnce({ client, upTo }) {
    client.send(request(streamOf('r2,s5,b5')))
    for (let turn = upTo(4); turn > 0; turn--) await new Promise(setImmediate)
    client.socket.resetAndDestroy()
  },
  async function asksTwice({ client, upTo }) {
    const planned = plan(upTo)
    const second = [request('/plain'), request(streamOf('s3,e')), request(streamOf('s3'))][upTo(2)] ?? ''
    client.send(request(streamOf(`${planned.script},e`)), second)
    const [answer, ...others] = await client.answers()
    expectWhole(answer?.body, planned)
    expect(others).toEqual([])
  },
  async function asksAgainLater(visit) {
    const { client, upTo } = visit
    client.send(request(streamOf('s3,b3,t1,s2')))
    for (let turn = upTo(6); turn > 0; turn--) await new Promise(setImmediate)
    client.send(request('/plain'))
    await leaveAt(visit, 6)
  },
  async function asksForMoreBefore({ client, upTo }) {
    const planned = plan(upTo)
    const others = 1 + upTo(2)
    client.send(request('/plain').repeat(others), request(streamOf(`${planned.script},e`)))
    const answers = await client.answers()
    expect(answers).toHaveLength(others + 1)
    expectWhole(answers.at(-1)?.body, planned)
  },
  async function isOld({ client, upTo }) {
    const planned = plan(upTo)
    client.send(request(streamOf(`${planned.script},e`), { version: '1.0' }))
    const [answer] = await client.answers()
    expect(answer?.chunked).toBe(false)
    expectWhole(answer?.body, planned)
  },
  async function asksForTheHead({ client }) {
    client.send(request(streamOf('s3'), { method: 'HEAD', headers: ['connection: close'] }))
    expect(await client.answers(['HEAD'])).toMatchObject([{ status: 200, complete: true }])
  },
  async function posts({ client, upTo }) {
    const planned = plan(upTo)
    const body = 'b'.repeat(1 + upTo(2_000))
    client.send(request(streamOf(`${planned.script},e`), { method: 'POST', body }))
    const [answer] = await client.answers()
    expectWhole(answer?.body, planned)
  },
  async function hasSaidAll({ client, upTo }) {
    client.send(request(streamOf('s3,b3')))
    for (let turn = upTo(6); turn > 0; turn--) await new Promise(setImmediate)
    client.socket.end()
    await client.closed()
  },
  async function makesNoise(visit) {
    const { client, upTo } = visit
    client.send(request(streamOf('s3,b3')))
    for (let turn = upTo(6); turn > 0; turn--) await new Promise(setImmediate)
    client.send('\0noise\r\n\r\n'.repeat(upTo(100)))
    await leaveAt(visit, 6)
  },
  async function knocks({ client }) {
    client.socket.destroy()
  },
]

describe.each(NODES)('a storm of connections of all kinds, under Node $line', ({ binary }) => {
  it('harms no stream, and leaves nothing behind', { timeout: 120_000 }, async () => {
    await using server = await StreamProcess.start({ binary })
    const random = seeded(SEED)
    const upTo = (most: number) => Math.floor(random() * (most + 1))
    let begun = 0
    const visitor = async () => {
      while (begun++ < CONNECTIONS) {
        const visit = VISITS[upTo(VISITS.length - 1)]
        await using client = await RawClient.open({ port: server.port, host: '127.0.0.1' })
        await visit?.({ client, upTo })
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, visitor))
    await expect.poll(() => leftOf(server), PATIENT).toMatchObject(NOTHING_LEFT)
    expect((await server.stats()).streams).toBeGreaterThan(CONNECTIONS / 2)
    expect(server.complaints).toBe('')
  })
})
