import { describe, expect, it } from 'vitest'
import type { Cluster, NodeService } from '../src/index.ts'

/** What a node does for itself, whether or not there are others: every adapter passes it. */
export function oneNodeContract(open: (service: NodeService) => Promise<Cluster>): void {
  describe('one node', () => {
    it('is among the nodes, with what it announced', async () => {
      await using cluster = await open('worker')
      cluster.announce({ load: 0.5, handlers: ['a'] })
      cluster.announce({ load: 0.25, gone: 1 })
      cluster.announce({ gone: undefined })
      cluster.listensAt('http://127.0.0.1:8080')
      await expect.poll(() => cluster.nodes()).toMatchObject([{ url: 'http://127.0.0.1:8080' }])
      const [node] = await cluster.nodes()
      expect(node).toEqual({
        nodeId: cluster.nodeId,
        service: 'worker',
        url: 'http://127.0.0.1:8080',
        startedAt: expect.any(Number),
        seenAt: expect.any(Number),
        info: { load: 0.25, handlers: ['a'] },
      })
    })

    it('is found by its service, and says no address before it listens', async () => {
      await using cluster = await open('gateway')
      const nodes = await cluster.nodes('gateway')
      expect(nodes.map(({ nodeId, url }) => ({ nodeId, url }))).toEqual([
        { nodeId: cluster.nodeId, url: undefined },
      ])
      expect(await cluster.nodes('worker')).toEqual([])
    })

    it('refuses to announce more than goes with a heartbeat, and keeps what it had', async () => {
      await using cluster = await open('worker')
      cluster.announce({ load: 1 })
      expect(() => cluster.announce({ more: 'x'.repeat(20_000) })).toThrow(RangeError)
      cluster.listensAt('http://127.0.0.1:1')
      await expect.poll(() => cluster.nodes()).toMatchObject([{ info: { load: 1 } }])
    })

    it('answers itself by its handler', async () => {
      await using cluster = await open('gateway')
      cluster.handle('add', async (payload, from) => ({ payload, isSelf: from === cluster.nodeId }))
      const answer = { nodeId: cluster.nodeId, ok: true, result: { payload: { a: 1 }, isSelf: true } }
      expect(await cluster.ask(cluster.nodeId, 'add', { a: 1, b: undefined })).toEqual(answer)
      expect(await cluster.askAll('add', { a: 1 })).toEqual([answer])
      expect(await cluster.askAll('add', { a: 1 }, { service: 'worker' })).toEqual([])
    })

    it('says that it failed where a handler throws, and where there is none', async () => {
      await using cluster = await open('gateway')
      const end = cluster.handle('break', async () => {
        throw new Error('not today')
      })
      expect(await cluster.ask(cluster.nodeId, 'break', {})).toEqual({
        nodeId: cluster.nodeId,
        ok: false,
        reason: 'failed',
        message: 'not today',
      })
      end()
      const answer = await cluster.ask(cluster.nodeId, 'break', {})
      expect(answer).toMatchObject({ ok: false, reason: 'failed' })
    })

    it('has one handler for a kind', async () => {
      await using cluster = await open('gateway')
      cluster.handle('one', async () => 1)
      expect(() => cluster.handle('one', async () => 2)).toThrow('There is a handler for one')
    })

    it('says that it is unreachable where its handler takes too long', async () => {
      await using cluster = await open('gateway')
      cluster.handle('wait', () => new Promise(() => {}))
      const answer = await cluster.ask(cluster.nodeId, 'wait', {}, { timeoutMs: 10 })
      expect(answer).toMatchObject({ ok: false, reason: 'unreachable' })
    })

    it('bounds what is asked and answered', async () => {
      await using cluster = await open('gateway')
      cluster.handle('echo', async (payload) => [payload, payload])
      await expect(cluster.ask(cluster.nodeId, 'echo', 'x'.repeat(70_000))).rejects.toThrow(RangeError)
      const answer = await cluster.ask(cluster.nodeId, 'echo', 'x'.repeat(40_000))
      expect(answer).toMatchObject({ ok: false, reason: 'failed' })
    })

    it('answers that a node is unreachable that nobody knows', async () => {
      await using cluster = await open('gateway')
      const answer = await cluster.ask('nobody', 'echo', {})
      expect(answer).toMatchObject({ nodeId: 'nobody', ok: false, reason: 'unreachable' })
    })
  })
}
