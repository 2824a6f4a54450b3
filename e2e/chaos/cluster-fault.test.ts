import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Cluster } from '../cluster/cluster.ts'
import { Turns } from '../cluster/turns.ts'
import { findNginx } from '../nginx-process.ts'
import { ALL_CLUSTER_FAULTS, type ClusterFaultKind, type ClusterTargets, planFault } from './cluster-fault.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import { SeededRandom } from './seeded-random.ts'

const RESTARTED = /process (\d+) is now (?!\1$)\d+$/
/** How soon a gateway has found a Redis that is back. */
const BACK_MS = 30_000
const SOME_CONNECTIONS = /\b[1-9]\d* connections$/

/** What each is seen to have done, in the words of its effect. */
const SEEN: Readonly<Record<ClusterFaultKind, RegExp>> = {
  'kill-gateway': RESTARTED,
  'kill-worker': RESTARTED,
  'stop-gateway': /answered after [1-9]\d+ ms$/,
  'stop-worker': /answered after [1-9]\d+ ms$/,
  'deploy-gateway': RESTARTED,
  'deploy-worker': RESTARTED,
  'kill-nginx': RESTARTED,
  'stop-nginx': /^answered after [1-9]\d+ ms$/,
  'cut-redis': SOME_CONNECTIONS,
  'refuse-redis': /: [1-9]\d* refused$/,
  'stall-redis': /: answered after [1-9]\d+ ms$/,
  'slow-redis': /: answered after [1-9]\d+ ms$/,
  'kill-master': /^the master moved from (\d+) to (?!\1)\d+$/,
  'restart-master': RESTARTED,
  'stop-master': /^answered after [1-9]\d+ ms, the master /,
  'sleep-master': /^[1-9]\d\d ms$/,
  failover: /^the master moved from (\d+) to (?!\1)\d+$/,
  'kill-replica': RESTARTED,
  'stop-replica': /^answered after [1-9]\d+ ms$/,
  'kill-sentinel': RESTARTED,
  'stop-sentinel': /answered after [1-9]\d+ ms$/,
  'kill-normal-clients': SOME_CONNECTIONS,
  'kill-pubsub-clients': SOME_CONNECTIONS,
  'cut-readers': SOME_CONNECTIONS,
  'stall-readers': /^stalled$/,
  'cut-publishers': SOME_CONNECTIONS,
  'cut-sources': /^1 streams$/,
}

describeWithRedisServers('the faults of the chaos of a cluster', () => {
  const nginx = findNginx()
  if (nginx === undefined) {
    it.skip('are seen to have their effect: there is no nginx')
    return
  }
  const owned = new AsyncDisposableStack()
  const said: string[] = []
  let targets: ClusterTargets

  beforeAll(async () => {
    const cluster = owned.use(
      await Cluster.start({
        sentinel: true,
        nginx: true,
        env: { MAX_CONNECTIONS_PER_USER: '0' },
        onFailure: (fault) => said.push(fault),
      }),
    )
    const port = Number(new URL(cluster.url).port)
    const [readersProxy, publishersProxy] = [await CuttingProxy.start(port), await CuttingProxy.start(port)]
    owned.use(readersProxy)
    owned.use(publishersProxy)
    const say = (fault: string) => void said.push(fault)
    const turns = { redis: new Turns(say), nginx: new Turns(say) }
    targets = { cluster, readersProxy, publishersProxy, turns, api: { cutStreams: () => 1 } }
  })
  afterAll(() => owned.disposeAsync())

  it.each([...new Set(ALL_CLUSTER_FAULTS)])('%s is seen to have its effect', async (kind) => {
    const { cluster, readersProxy, publishersProxy } = targets
    await cluster.redis.settled()
    await expect.poll(() => cluster.nodes.every(({ network }) => network.linkCount > 0)).toBe(true)
    // Somebody has to be there to be cut off.
    const open = await Promise.all([readersProxy, publishersProxy].map(({ url }) => connect(url)))
    const { act } = planFault(kind, new SeededRandom(1), targets)
    expect(await act()).toMatch(SEEN[kind])
    expect(said).toEqual([])
    await Promise.all(open.map((answer) => answer.body?.cancel().catch(() => undefined)))
  })
})

/** A stream that is there: a gateway refuses those that come before it has found Redis again. */
async function connect(url: string): Promise<Response> {
  return vi.waitFor(async () => {
    const answer = await fetch(`${url}/api/sse/managed/connect?token=alice-token`)
    if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${await answer.text()}`)
    return answer
  }, BACK_MS)
}
