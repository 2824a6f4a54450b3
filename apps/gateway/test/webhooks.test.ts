import { LocalCluster } from '@tributary/cluster'
import { RedisCluster } from '@tributary/cluster/redis'
import type { EventStore } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { RedisEventStore } from '@tributary/eventlog/redis'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { FakeClock } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import { WebhookQueue } from '../src/webhooks/webhook-queue.ts'
import { type SendWebhook, WebhookSender, type WebhookSenderOptions } from '../src/webhooks/webhook-sender.ts'
import { WebhookSigner } from '../src/webhooks/webhook-signer.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const GIVE_UP_MS = 60_000
const TOLD = { timeout: 10_000 }

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const openQueue = (store: EventStore, maxPending = 1_000) =>
  WebhookQueue.open({
    store,
    events: ['connect', 'join'],
    maxPending,
    maxAgeMs: 10 * GIVE_UP_MS,
    isAlone: false,
    onLost: () => undefined,
  })
const entry = (connectionId: string) => ({ connectionId, token: 't', nodeId: 'n', groups: [] })

/** Counts what the sender says, and takes or refuses what it sends. */
function receiver() {
  const ids: string[] = []
  const counts = { sent: 0, givenUp: 0, failed: 0 }
  const state = { status: 204 }
  const send: SendWebhook = async (body) => {
    if (state.status < 300)
      ids.push(...[...body.matchAll(/"connectionId":"([^"]+)"/g)].map(([, id]) => id ?? ''))
    return state.status
  }
  const meter: WebhookSenderOptions['meter'] = {
    sent: (events) => {
      counts.sent += events
    },
    givenUp: (events) => {
      counts.givenUp += events
    },
    failed: () => {
      counts.failed += 1
    },
  }
  return { ids, counts, state, send, meter }
}

const localCluster = (clock: FakeClock) => new LocalCluster({ service: 'gateway', clock })

/** Where another gateway is the oldest until it is gone, of which a third one is told. */
class SecondOfThree extends LocalCluster {
  isFirst = false

  override async nodes() {
    const [own] = await super.nodes()
    if (own === undefined) throw new Error('it is one of its nodes')
    return this.isFirst ? [own] : [{ ...own, nodeId: 'older' }, own]
  }
}

describe('the sender of webhooks', () => {
  async function setUp(maxPending?: number, clock = new FakeClock(), cluster = localCluster(clock)) {
    const store = new MemoryEventStore({ clock })
    const queue = await openQueue(store, maxPending)
    const taken = receiver()
    const sender = new WebhookSender({
      log: queue.log,
      cluster,
      signer: new WebhookSigner(SECRET),
      clock,
      random: () => 1,
      giveUpMs: GIVE_UP_MS,
      onFault: () => undefined,
      ...taken,
    })
    return { clock, store, queue, sender, ...taken }
  }

  it('waits longer after each failure, gives up what is too old, and goes on with the rest', async () => {
    const { clock, queue, sender, ids, counts, state } = await setUp()
    state.status = 503
    await queue.connected(entry('old'))
    await sender.start()
    await expect.poll(() => counts.failed).toBe(1)
    for (const [i, waitMs] of [1_000, 2_000, 4_000].entries()) {
      clock.advance(waitMs - 1)
      await settle()
      expect(counts.failed).toBe(i + 1)
      clock.advance(1)
      await expect.poll(() => counts.failed).toBe(i + 2)
    }
    await settle()
    state.status = 200
    clock.advance(GIVE_UP_MS)
    await expect.poll(() => counts.givenUp).toBe(1)
    await queue.connected(entry('new'))
    await expect.poll(() => ids).toEqual(['new'])
    expect(counts).toMatchObject({ sent: 1, givenUp: 1 })
    expect(sender.pending).toBe(0)
    await sender.close()
  })

  it('sends what waits once it is its turn, also where it is told nothing of that', async () => {
    const clock = new FakeClock()
    const cluster = new SecondOfThree({ service: 'gateway', clock })
    const { queue, sender, ids } = await setUp(undefined, clock, cluster)
    await queue.connected(entry('waits'))
    await sender.start()
    clock.advance(20_000)
    await settle()
    expect(ids).toEqual([])
    cluster.isFirst = true
    clock.advance(10_000)
    await expect.poll(() => ids).toEqual(['waits'])
    await sender.close()
  })

  it('keeps so many, and counts those that it had to let go of', async () => {
    const { store, queue, sender, ids, counts } = await setUp(5)
    for (let i = 0; i < 20; i++) await queue.connected(entry(`c${i}`))
    await store.trim()
    await sender.start()
    await expect.poll(() => counts.sent + counts.givenUp).toBe(20)
    expect(ids.slice(-5)).toEqual(['c15', 'c16', 'c17', 'c18', 'c19'])
    expect(ids).toHaveLength(counts.sent)
    await sender.close()
  })

  it('signs what any library of Standard Webhooks verifies, and no other', () => {
    const headers = new WebhookSigner(SECRET).headers('msg_1', '{"a":1}', Date.now())
    expect(new Webhook(SECRET).verify('{"a":1}', headers)).toEqual({ a: 1 })
    expect(() => new Webhook(SECRET).verify('{"a":2}', headers)).toThrow()
    expect(() =>
      new Webhook(`whsec_${Buffer.alloc(32, 8).toString('base64')}`).verify('{"a":1}', headers),
    ).toThrow()
  })
})

describeWithRedis('the senders of webhooks of several nodes', (redis) => {
  const openNode = async (prefix: string, nodeId: string) => {
    const connections = await RedisConnections.open({ url: redis.url, timeoutMs: 2_000 })
    const cluster = await RedisCluster.open({
      redis: connections,
      prefix,
      service: 'gateway',
      nodeId,
      leaseMs: 900,
    })
    const store = new RedisEventStore({ connections, prefix })
    const queue = await openQueue(store)
    const taken = receiver()
    const sender = new WebhookSender({
      log: queue.log,
      cluster,
      signer: new WebhookSigner(SECRET),
      clock: systemClock,
      random: () => 0,
      giveUpMs: GIVE_UP_MS,
      onFault: () => undefined,
      ...taken,
    })
    await sender.start()
    return {
      queue,
      ...taken,
      cut: () => connections[Symbol.asyncDispose](),
      async [Symbol.asyncDispose]() {
        await connections[Symbol.asyncDispose]()
        await sender.close()
        await cluster[Symbol.asyncDispose]()
        await store.close().catch(() => undefined)
      },
    }
  }

  it('are one at a time, and when that dies another goes on where it was', async () => {
    const prefix = redis.prefix()
    await using a = await openNode(prefix, 'a')
    await using b = await openNode(prefix, 'b')
    for (let i = 0; i < 10; i++) await (i % 2 === 0 ? a : b).queue.connected(entry(`c${i}`))
    await expect.poll(() => a.ids, TOLD).toEqual(Array.from({ length: 10 }, (_, i) => `c${i}`))
    expect(b.ids).toEqual([])
    a.state.status = 500
    for (let i = 10; i < 15; i++) await b.queue.connected(entry(`c${i}`))
    await a.cut()
    await expect.poll(() => b.ids.slice(-5), TOLD).toEqual(['c10', 'c11', 'c12', 'c13', 'c14'])
  })
})
