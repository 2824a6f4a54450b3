import { AddressPolicy, OutboundClient } from '@tributary/outbound'
import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { AnnouncedWorkers, type WorkerNode } from '../src/relay/announced-workers.ts'
import { Worker } from '../src/relay/worker.ts'
import { WorkerPool } from '../src/relay/worker-pool.ts'

const INFO = {
  load: { activeTasks: 0, waitingTasks: 0, runs: 0, loopDelayMs: 0 },
  handlers: [],
  simulates: false,
  draining: false,
}

/** A worker that says of itself that it is this process. */
async function startWorker(nodeId?: string): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start()
  onTestFinished(() => upstream.close())
  const said = { status: 'ok', ...(nodeId === undefined ? {} : { nodeId }) }
  const json = { 'content-type': 'application/json' }
  return upstream.script('/healthz', [steps.answer(200, json, JSON.stringify(said))])
}

/** A gateway's pool with these in its configuration, and what the cluster says of who is there. */
function poolOf(...listed: readonly { readonly url: string }[]) {
  const clock = new FakeClock()
  const policy = new AddressPolicy({ allow: ['127.0.0.1'] })
  const client = new OutboundClient({ policy })
  onTestFinished(() => client.close())
  const workerAt = (url: string) => new Worker({ url, client, now: () => clock.now() })
  const pool = new WorkerPool({
    listed: listed.map(({ url }) => workerAt(url)),
    shared: true,
    random: () => 0,
  })
  const released: string[] = []
  const strangers: string[] = []
  const cluster: { nodes: WorkerNode[] | Error } = { nodes: [] }
  const announced = new AnnouncedWorkers({
    nodes: async () => {
      if (cluster.nodes instanceof Error) throw cluster.nodes
      return cluster.nodes
    },
    pool,
    connect: (url) => [workerAt(url), () => released.push(url)],
    clock,
    onStranger: (url) => strangers.push(url),
  })
  onTestFinished(() => announced[Symbol.dispose]())
  const see = async (...nodes: WorkerNode[]) => {
    cluster.nodes = nodes
    await announced.refresh()
    return pool.workers.map(({ url }) => url)
  }
  return { pool, announced, cluster, clock, released, strangers, see }
}

const node = (nodeId: string, { url }: { readonly url: string }, info: unknown = INFO) => ({
  nodeId,
  url,
  info,
})

describe('the workers of a gateway in a cluster', () => {
  it('are those of its configuration and those that announce themselves, each once', async () => {
    const [listed, other] = [await startWorker('one'), await startWorker('two')]
    const { see, pool } = poolOf(listed)
    expect(pool.workers.map(({ url }) => url)).toEqual([listed.url])
    const seen = await see(node('one', listed), node('two', { url: `${other.url}/` }))
    expect(seen).toEqual([listed.url, other.url])
    expect(pool.workers.map(({ info }) => info)).toEqual([INFO, INFO])
  })

  it('have one that is configured under another address under the one that it announces', async () => {
    const balancer = await startWorker('one')
    const worker = { url: 'http://10.0.0.5:8080' }
    const { see } = poolOf(balancer)
    expect(await see(node('one', worker))).toEqual([worker.url])
    // Not asked again as long as that one is there.
    expect(await see(node('one', worker))).toEqual([worker.url])
    expect(balancer.requests).toHaveLength(1)
  })

  it('keep one that is configured and tells nothing of itself', async () => {
    const [alone, other] = [await startWorker(), await startWorker('two')]
    const { see } = poolOf(alone)
    expect(await see(node('two', other))).toEqual([alone.url, other.url])
  })

  it('are without one that is configured and does not answer, until it does', async () => {
    const [alone, other] = [await startWorker(), await startWorker('two')]
    const healthy = steps.answer(200, { 'content-type': 'application/json' }, '{"status":"ok"}')
    alone.script('/healthz', [steps.answer(502)], [healthy])
    const { see } = poolOf(alone)
    expect(await see(node('two', other))).toEqual([other.url])
    expect(await see(node('two', other))).toEqual([alone.url, other.url])
  })

  it('are without one at whose address something else answers, which is told once', async () => {
    const [good, alien, stray] = [
      await startWorker('good'),
      await startWorker(),
      await startWorker('of-others'),
    ]
    alien.script('/healthz', [steps.answer(404)])
    const { see, strangers } = poolOf()
    const nodes = [node('good', good), node('bad', alien), node('stray', stray)]
    expect(await see(...nodes)).toEqual([good.url])
    expect(await see(...nodes)).toEqual([good.url])
    expect(strangers.toSorted()).toEqual([alien.url, stray.url].toSorted())
    expect(good.requests).toHaveLength(1)
  })

  it('may share an address, as behind a balancer, and are there while nobody answers at theirs', async () => {
    const [balancer, closed] = [await startWorker('one'), await startWorker()]
    await closed.close()
    const { see, strangers } = poolOf()
    const seen = await see(node('one', balancer), node('two', balancer), node('three', closed))
    expect(seen).toEqual([balancer.url, closed.url].toSorted())
    expect(strangers).toEqual([])
  })

  it('lose one that is gone, which is told whoever reads from it', async () => {
    const [listed, other, third] = [await startWorker('1'), await startWorker('2'), await startWorker('3')]
    const { see, pool, released } = poolOf(listed)
    await see(node('1', listed), node('2', other), node('3', third))
    const lost = pool.workers.map((worker) => worker.lost)
    expect(await see(node('3', third))).toEqual([third.url])
    expect(lost.filter(({ aborted }) => aborted)).toHaveLength(2)
    expect(released).toEqual([other.url])
    expect(await see(node('1b', listed), node('3', third))).toEqual([listed.url, third.url])
    expect(pool.at(listed.url)?.lost.aborted).toBe(false)
  })

  it('stay as they were while nobody can be asked, and where all are gone at once', async () => {
    const [listed, other] = [await startWorker('one'), await startWorker('two')]
    const { see, cluster, announced, pool } = poolOf(listed)
    const both = await see(node('one', listed), node('two', other))
    cluster.nodes = new Error('no Redis')
    await announced.refresh()
    expect(pool.workers.map(({ url }) => url)).toEqual(both)
    expect(await see()).toEqual(both)
  })

  it('have none that says something else than a worker would', async () => {
    const { see } = poolOf(await startWorker())
    const other = { url: 'http://10.0.0.5:8080' }
    const odd = [
      node('a', other, {}),
      node('b', { url: 'file:///etc/passwd' }),
      node('c', { url: 'http://user:password@10.0.0.6' }),
      { nodeId: 'd', info: INFO },
    ]
    expect(await see(...odd)).toHaveLength(1)
  })

  it('are looked for again and again', async () => {
    const [one, two] = [await startWorker('one'), await startWorker('two')]
    const { announced, cluster, clock, pool } = poolOf(one)
    cluster.nodes = [node('one', one)]
    await announced.begin()
    cluster.nodes = [node('one', one), node('two', two)]
    clock.advance(1_000)
    // Who asks meanwhile waits for the look that is under way.
    await announced.refresh()
    expect(pool.workers).toHaveLength(2)
  })
})
