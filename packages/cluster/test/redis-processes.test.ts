import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it, onTestFinished } from 'vitest'
import { openNode } from './redis-fixture.ts'

const PROGRAM = fileURLToPath(new URL('node-process.ts', import.meta.url))
const LEASE_MS = 1_500
const TOLD = { timeout: 12_000 }

describeWithRedis('nodes that are processes', (redis) => {
  async function startNode(
    prefix: string,
    nodeId: string,
  ): Promise<{ child: ChildProcess; said: unknown[] }> {
    const child = fork(PROGRAM, [redis.url, prefix, nodeId, String(LEASE_MS)], {
      execArgv: ['--conditions=@tributary/source'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const said: unknown[] = []
    child.on('message', (message) => void said.push(message))
    await once(child, 'message')
    return { child, said }
  }

  async function openHere(prefix: string) {
    const node = await openNode(redis.url, prefix, { nodeId: 'here', leaseMs: LEASE_MS })
    onTestFinished(() => node[Symbol.asyncDispose]())
    return node.cluster
  }

  it('tells one of those that are left of each that is killed', async () => {
    const prefix = redis.prefix()
    const cluster = await openHere(prefix)
    const nodes = await Promise.all(['a', 'b', 'c', 'd'].map((id) => startNode(prefix, id)))
    const asked = await cluster.askAll('echo', 1)
    expect(asked.map(({ nodeId, ok }) => `${nodeId} ${ok}`).sort()).toEqual([
      'a true',
      'b true',
      'c true',
      'd true',
      'here false',
    ])
    for (const { child } of nodes.slice(0, 2)) child.kill('SIGKILL')
    const gone = () => nodes.flatMap(({ said }) => said.slice(1)).map((message) => JSON.stringify(message))
    await expect.poll(() => gone().sort(), TOLD).toEqual(['{"gone":"a"}', '{"gone":"b"}'])
    expect((await cluster.nodes()).map(({ nodeId }) => nodeId).sort()).toEqual(['c', 'd', 'here'])
    // One that leaves does not wait for its lease to end.
    nodes[2]?.child.kill('SIGTERM')
    await expect.poll(() => gone().length, TOLD).toBe(3)
    expect((await cluster.nodes()).map(({ nodeId }) => nodeId).sort()).toEqual(['d', 'here'])
  })

  it('finds one that is frozen unreachable, then gone, and there again once it goes on', async () => {
    const prefix = redis.prefix()
    const cluster = await openHere(prefix)
    const gone: string[] = []
    cluster.onNodeGone(async ({ nodeId }) => void gone.push(nodeId))
    const { child, said } = await startNode(prefix, 'frozen')
    expect(await cluster.ask('frozen', 'echo', 1)).toMatchObject({ ok: true, result: 1 })
    child.kill('SIGSTOP')
    const answer = await cluster.ask('frozen', 'echo', 2, { timeoutMs: 100 })
    expect(answer).toMatchObject({ ok: false, reason: 'unreachable' })
    await expect.poll(() => gone, TOLD).toEqual(['frozen'])
    expect(await cluster.ask('frozen', 'echo', 3)).toMatchObject({ ok: false, reason: 'unreachable' })
    child.kill('SIGCONT')
    await expect.poll(() => said, TOLD).toContainEqual({ rejoined: 'frozen' })
    expect(await cluster.ask('frozen', 'echo', 4)).toMatchObject({ ok: true, result: 4 })
  })
})
