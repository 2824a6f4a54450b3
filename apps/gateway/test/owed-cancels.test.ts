import type { ClusterNode } from '@tributary/cluster'
import { StoreUnavailableError } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { AddressPolicy, OutboundClient } from '@tributary/outbound'
import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { OwedCancels } from '../src/relay/owed-cancels.ts'
import { Worker } from '../src/relay/worker.ts'
import { WorkerPool } from '../src/relay/worker-pool.ts'

const RUN = 'run_1'
const CANCEL = `/api/runs/${RUN}/cancel`

const node = (nodeId: string): ClusterNode => ({
  nodeId,
  service: 'gateway',
  startedAt: 0,
  seenAt: 0,
  info: {},
})

/** Gateways of one cluster, with one worker. */
async function cluster() {
  const clock = new FakeClock()
  const store = new MemoryEventStore({ clock })
  onTestFinished(() => store.close())
  const upstream = await ScriptedUpstream.start()
  onTestFinished(() => upstream.close())
  const client = new OutboundClient({ policy: new AddressPolicy({ allow: ['127.0.0.1'] }) })
  onTestFinished(() => client.close())
  const worker = new Worker({ url: upstream.url, client, now: () => clock.now() })
  const pool = new WorkerPool({ listed: [worker], shared: true, random: () => 0 })
  const living = new Map<string, Parameters<OwedCancelsCluster['onNodeGone']>[0]>()
  const nodes = { areAway: false }
  const start = async (nodeId: string) => {
    living.set(nodeId, async () => undefined)
    const owed = await OwedCancels.open({
      store,
      pool,
      clock,
      cluster: {
        nodeId,
        nodes: async () => {
          if (nodes.areAway) throw new StoreUnavailableError('the connection was closed')
          return [...living.keys()].map(node)
        },
        onNodeGone: (listener) => {
          living.set(nodeId, listener)
          return () => undefined
        },
      },
    })
    onTestFinished(() => owed.close())
    await owed.begin()
    return owed
  }
  const gone = async (nodeId: string) => {
    living.delete(nodeId)
    const [told] = living.values()
    await told?.(node(nodeId))
  }
  return { clock, nodes, worker, upstream, start, gone }
}

type OwedCancelsCluster = Parameters<typeof OwedCancels.open>[0]['cluster']

it('is sent by another gateway where the one that owes it dies', async () => {
  const { worker, upstream, start, gone } = await cluster()
  const answer = steps.answer(200, { 'content-type': 'application/json' }, '{}')
  upstream.script(CANCEL, [steps.answer(503)], [answer])
  const [first, second] = [await start('a'), await start('b')]
  void first.add(worker, RUN)
  await (await upstream.waitForRequest(CANCEL)).closed
  expect(second.size).toBe(1)
  // It dies before it tries again.
  first.close()
  await gone('a')
  await (await upstream.waitForRequest(CANCEL, 2)).closed
  await expect.poll(() => second.size).toBe(0)
})

it('is sent by a gateway that starts where nobody sends it any more, and not where somebody does', async () => {
  const { worker, upstream, start, gone } = await cluster()
  upstream.script(CANCEL, [steps.answer(503)])
  const first = await start('a')
  void first.add(worker, RUN)
  await (await upstream.waitForRequest(CANCEL)).closed
  await start('b')
  expect(upstream.requestsTo(CANCEL)).toHaveLength(1)
  first.close()
  await gone('b')
  await gone('a')
  await start('c')
  await upstream.waitForRequest(CANCEL, 2)
})

it('is sent by a gateway that cannot ask at its start who is there, once it can', async () => {
  const { clock, nodes, worker, upstream, start, gone } = await cluster()
  upstream.script(CANCEL, [steps.answer(503)])
  const first = await start('a')
  void first.add(worker, RUN)
  await (await upstream.waitForRequest(CANCEL)).closed
  first.close()
  await gone('a')
  nodes.areAway = true
  const second = start('b')
  nodes.areAway = false
  await expect
    .poll(() => {
      clock.advance(1_000)
      return upstream.requestsTo(CANCEL).length
    })
    .toBe(2)
  await second
})
