import { describe, expect, it, onTestFinished } from 'vitest'
import type { ClusterNode, NodeService } from '../src/index.ts'
import { openNode, TEST_LEASE_MS, type TestNode } from './redis-fixture.ts'

/** How long a death may take to be told of, where the machine has much else to do. */
export const TOLD = { timeout: 20 * TEST_LEASE_MS }

interface Told {
  readonly by: string
  readonly node: ClusterNode
}

/** Nodes of one cluster, that are closed with the test. */
export function clusterOf(url: () => string, prefix: string) {
  const told: Told[] = []
  return {
    told,
    goneIds: () => told.map(({ node }) => node.nodeId),
    async open(nodeId: string, service: NodeService = 'gateway', leaseMs = TEST_LEASE_MS): Promise<TestNode> {
      const node = await openNode(url(), prefix, { nodeId, service, leaseMs })
      onTestFinished(() => node[Symbol.asyncDispose]())
      return node
    },
    listen({ cluster }: TestNode): void {
      cluster.onNodeGone(async (node) => void told.push({ by: cluster.nodeId, node }))
    },
  }
}

/** What nodes know of each other, and ask of each other. */
export function nodesContract(redis: { readonly url: string; prefix(): string }): void {
  const newCluster = () => clusterOf(() => redis.url, redis.prefix())

  describe('asking', () => {
    it('asks another, all, and all of a service', async () => {
      const { open } = newCluster()
      const nodes = [await open('a'), await open('b'), await open('w', 'worker')]
      for (const { cluster } of nodes) {
        cluster.handle('who', async (payload, from) => ({ is: cluster.nodeId, from, payload }))
      }
      const [a, b] = nodes
      expect(await a?.cluster.ask('b', 'who', { n: 1 })).toEqual({
        nodeId: 'b',
        ok: true,
        result: { is: 'b', from: 'a', payload: { n: 1 } },
      })
      const idsOf = async (service?: NodeService) =>
        (await b?.cluster.askAll('who', {}, service && { service }))
          ?.map(({ nodeId, ok }) => `${nodeId} ${ok}`)
          .sort()
      expect(await idsOf()).toEqual(['a true', 'b true', 'w true'])
      expect(await idsOf('worker')).toEqual(['w true'])
      expect((await b?.cluster.nodes('worker'))?.map(({ nodeId }) => nodeId)).toEqual(['w'])
    })

    it('tells apart who failed, who does not answer, and who is not there', async () => {
      const { open } = newCluster()
      const [a, b] = [await open('a'), await open('b')]
      b.cluster.handle('break', async () => {
        throw new Error('not today')
      })
      b.cluster.handle('wait', () => new Promise(() => {}))
      b.cluster.handle('flood', async () => 'x'.repeat(70_000))
      expect(await a.cluster.ask('b', 'break', {})).toEqual({
        nodeId: 'b',
        ok: false,
        reason: 'failed',
        message: 'not today',
      })
      expect(await a.cluster.ask('b', 'unheard', {})).toMatchObject({ ok: false, reason: 'failed' })
      expect(await a.cluster.ask('b', 'flood', {})).toMatchObject({ ok: false, reason: 'failed' })
      const late = await a.cluster.ask('b', 'wait', {}, { timeoutMs: 50 })
      expect(late).toMatchObject({ nodeId: 'b', ok: false, reason: 'unreachable' })
      expect(await a.cluster.ask('c', 'wait', {})).toMatchObject({ nodeId: 'c', reason: 'unreachable' })
    })

    it('answers for a node that is cut off, and does the rest', async () => {
      const { open } = newCluster()
      const [a, b] = [await open('a', 'gateway', 60_000), await open('b', 'gateway', 60_000)]
      for (const { cluster } of [a, b]) cluster.handle('count', async () => 1)
      await b.cut()
      const answers = await a.cluster.askAll('count', {}, { timeoutMs: 100 })
      expect(answers).toEqual([
        { nodeId: 'a', ok: true, result: 1 },
        expect.objectContaining({ nodeId: 'b', ok: false, reason: 'unreachable' }),
      ])
    })
  })

  describe('a node that is gone', () => {
    it('is told of once, to one of those that listen', async () => {
      const { open, listen, told, goneIds } = newCluster()
      const dying = await open('dying', 'worker')
      dying.cluster.announce({ load: 1 })
      dying.cluster.listensAt('http://127.0.0.1:1')
      await expect.poll(() => dying.cluster.nodes(), TOLD).toMatchObject([{ info: { load: 1 } }])
      const living = [await open('a'), await open('b'), await open('c')]
      for (const node of living.slice(1)) listen(node)
      await dying.cut()
      await expect.poll(goneIds, TOLD).toEqual(['dying'])
      expect(told[0]?.node).toMatchObject({
        service: 'worker',
        url: 'http://127.0.0.1:1',
        info: { load: 1 },
        startedAt: expect.any(Number),
      })
      expect(told[0]?.by).not.toBe('a')
      // Two others die after it: had it been to be told again, it would have come before them.
      for (const node of living.slice(0, 1)) await node.cut()
      await expect.poll(goneIds, TOLD).toEqual(['dying', 'a'])
      expect((await living[1]?.cluster.nodes())?.map(({ nodeId }) => nodeId)).toEqual(['b', 'c'])
    })

    it('is told of to one gateway and one worker', async () => {
      const { open, listen, told } = newCluster()
      const dying = await open('dying')
      for (const id of ['a', 'b']) listen(await open(id))
      for (const id of ['v', 'w']) listen(await open(id, 'worker'))
      await dying.cut()
      const services = () => told.map(({ by }) => (['a', 'b'].includes(by) ? 'gateway' : 'worker')).sort()
      await expect.poll(services, TOLD).toEqual(['gateway', 'worker'])
    })

    it('is told of at once where it leaves, also to one who comes later', async () => {
      const { open, listen, goneIds } = newCluster()
      const [a, b, c] = [
        await open('a', 'gateway', 60_000),
        await open('b', 'gateway', 60_000),
        await open('c', 'gateway', 60_000),
      ]
      await b.cluster[Symbol.asyncDispose]()
      expect((await a.cluster.nodes()).map(({ nodeId }) => nodeId)).toEqual(['a', 'c'])
      listen(a)
      await c.cluster[Symbol.asyncDispose]()
      await expect.poll(() => goneIds().sort(), TOLD).toEqual(['b', 'c'])
    })

    it('is told of to another where the one that was told dies halfway', async () => {
      const { open, listen, goneIds } = newCluster()
      const dying = await open('dying')
      const halfway = await open('halfway')
      const begun = Promise.withResolvers<void>()
      halfway.cluster.onNodeGone(async () => {
        begun.resolve()
        await new Promise(() => {})
      })
      await dying.cut()
      await begun.promise
      listen(await open('next'))
      await halfway.cut()
      await expect.poll(() => goneIds().sort(), TOLD).toEqual(['dying', 'halfway'])
    })

    it('is told of again where a listener fails', async () => {
      const { open, listen, goneIds } = newCluster()
      const dying = await open('dying')
      const a = await open('a')
      let calls = 0
      a.cluster.onNodeGone(async () => {
        calls += 1
        if (calls === 1) throw new Error('not yet')
      })
      listen(a)
      await dying.cut()
      await expect.poll(() => calls, TOLD).toBe(2)
      expect(goneIds()).toEqual(['dying', 'dying'])
    })
  })
}
