import { startRedisCluster, startRedisWithSentinel } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, onTestFinished } from 'vitest'
import { clusterOf } from './nodes-contract.ts'

const LONGER = 60_000
/** So that what was seen instead is said before the test's own time ends. */
const SOON = { timeout: 25_000 }
/** More than a failover takes. */
const LEASE_MS = 4_000

describeWithRedisServers('a cluster of nodes on more than one server', () => {
  it('asks, and finds out who is gone, on a Redis Cluster', { timeout: LONGER }, async () => {
    const servers = await startRedisCluster()
    onTestFinished(() => servers[Symbol.asyncDispose]())
    const { open, listen, goneIds } = clusterOf(() => servers.url, 'p')
    const [a, b, w] = [await open('a'), await open('b'), await open('w', 'worker')]
    for (const { cluster } of [a, b, w]) cluster.handle('echo', async (payload) => payload)
    expect(await a.cluster.ask('w', 'echo', 1)).toEqual({ nodeId: 'w', ok: true, result: 1 })
    expect((await b.cluster.askAll('echo', 2)).map(({ ok }) => ok)).toEqual([true, true, true])
    listen(a)
    await w.cut()
    await expect.poll(goneIds, SOON).toEqual(['w'])
  })

  it('takes nobody for gone over a failover by Sentinel', { timeout: LONGER }, async () => {
    const servers = await startRedisWithSentinel()
    onTestFinished(() => servers[Symbol.asyncDispose]())
    const { open, listen, told } = clusterOf(() => servers.url, 'p')
    const nodes = [await open('a', 'gateway', LEASE_MS), await open('b', 'gateway', LEASE_MS)]
    const [a, b] = nodes
    for (const node of nodes) {
      listen(node)
      node.cluster.handle('echo', async (payload) => payload)
    }
    const master = await servers.master()
    await master.kill()
    await servers.failedOver(master)
    await expect
      .poll(() => a?.cluster.ask('b', 'echo', 1).catch(String), SOON)
      .toMatchObject({ ok: true, result: 1 })
    // The replica may not have had both; who is missing is there again with its next heartbeat.
    await expect
      .poll(async () => (await b?.cluster.nodes())?.map(({ nodeId }) => nodeId).sort(), SOON)
      .toEqual(['a', 'b'])
    expect(told).toEqual([])
    // Who really goes is told of all the same.
    await b?.cut()
    await expect.poll(() => told.map(({ node }) => node.nodeId), SOON).toEqual(['b'])
  })
})
