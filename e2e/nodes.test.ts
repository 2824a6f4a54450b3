import type { NodeList } from '@tributary/protocol'
import { dataOf, EventCollector } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { type ServiceProcess, startGateway, startWorker } from './processes.ts'

const MANAGED = '/api/sse/managed'
/** A lease that a test need not wait long for. */
const LEASE_MS = 2_000
const LATER = { timeout: 30_000 }

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function ask(
  service: Pick<ServiceProcess, 'url'>,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const answer = await fetch(service.url + path, { method, ...(body === undefined ? {} : json) })
  return { status: answer.status, body: await answer.json() }
}

describeWithRedis('nodes of a cluster', (redis) => {
  let a: ServiceProcess
  let b: ServiceProcess
  let worker: ServiceProcess

  beforeAll(async () => {
    const env = {
      REDIS_URL: redis.url,
      REDIS_PREFIX: redis.prefix(),
      NODE_LEASE_MS: String(LEASE_MS),
      DRAIN_MS: '2000',
    }
    ;[a, b, worker] = await Promise.all([startGateway({ env }), startGateway({ env }), startWorker({ env })])
  })
  afterAll(() => Promise.all([a, b, worker].map((service) => service.kill())))

  async function nodesAt(service: ServiceProcess): Promise<NodeList> {
    const answer = await fetch(`${service.url}/api/cluster/nodes`)
    expect(answer.status).toBe(200)
    return answer.json()
  }

  /** What a node says of all: by address, their state. */
  async function statesAt(service: ServiceProcess): Promise<Record<string, string>> {
    return Object.fromEntries((await nodesAt(service)).nodes.map(({ url = '', state }) => [url, state]))
  }

  async function connect(service: ServiceProcess, token: string) {
    const reader = await EventCollector.open(`${service.url}${MANAGED}/connect?token=${token}`)
    onTestFinished(() => reader.close())
    return { reader, id: (await dataOf(reader, 'connection')).clientId }
  }

  it('are told by whichever is asked', async () => {
    const all = { [a.url]: 'serving', [b.url]: 'serving', [worker.url]: 'serving' }
    for (const service of [a, b, worker]) await expect.poll(() => statesAt(service), LATER).toEqual(all)
    const { nodeId, nodes, unreachable } = await nodesAt(a)
    expect(unreachable).toEqual([])
    expect(nodes.find(({ isSelf }) => isSelf)).toMatchObject({
      nodeId,
      service: 'gateway',
      url: a.url,
      load: { connections: 0 },
    })
    expect((await (await fetch(`${a.url}/metrics`)).text()).split('\n')).toEqual(
      expect.arrayContaining([
        'tributary_cluster_nodes{service="gateway"} 2',
        'tributary_cluster_nodes{service="worker"} 1',
      ]),
    )
  })

  it('close what is connected to another', async () => {
    const first = await connect(b, 'alice-token')
    const second = await connect(b, 'alice-token')
    const third = await connect(b, 'bob-token')
    const one = await ask(a, 'DELETE', `${MANAGED}/connections/${first.id}?reason=enough`)
    const [{ nodeId: atA }, { nodeId: atB }] = [await nodesAt(a), await nodesAt(b)]
    const closed = { success: true, closed: 1, local: { closed: 0 } }
    expect(one).toMatchObject({ status: 200, body: { ...closed, acknowledged: [atB] } })
    expect(await dataOf(first.reader, 'disconnected')).toMatchObject({ reason: 'forced', message: 'enough' })
    const hers = await ask(a, 'DELETE', `${MANAGED}/connections/user/alice`)
    expect(hers).toMatchObject({ status: 200, body: { ...closed, acknowledged: [atA, atB] } })
    expect(hers.body).not.toHaveProperty('unreachable')
    await second.reader.ended
    const here = await connect(a, 'bob-token')
    const health = await ask(a, 'GET', '/api/sse/health?details=true')
    expect(health).toMatchObject({
      status: 200,
      body: {
        connections: { total: 2, local: { total: 1 } },
        details: { nodes: [{ connections: 1 }, { connections: 1 }] },
      },
    })
    const all = await ask(a, 'DELETE', `${MANAGED}/connections`)
    expect(all).toMatchObject({ status: 200, body: { success: true, closed: 2, local: { closed: 1 } } })
    await Promise.all([third.reader.ended, here.reader.ended])
  })

  it('tell one that is frozen as unreachable, then not at all, and again once it goes on', async () => {
    const { nodeId } = await nodesAt(b)
    const { pid = 0 } = b
    expect(pid).not.toBe(0)
    process.kill(pid, 'SIGSTOP')
    // One that is stopped would not end.
    onTestFinished(() => void process.kill(pid, 'SIGCONT'))
    const [frozen, closed, one] = await Promise.all([
      nodesAt(a),
      ask(a, 'DELETE', `${MANAGED}/connections/user/nobody`),
      ask(a, 'POST', '/api/sse/health', { action: 'force_disconnect', connectionId: 'nowhere' }),
    ])
    const view = frozen.nodes.find((node) => node.nodeId === nodeId)
    // Its lease may have ended by the time that nobody waits for its answer.
    if (view !== undefined) {
      expect(view).toMatchObject({ state: 'unreachable', reason: expect.any(String) })
      expect(frozen.unreachable).toEqual([nodeId])
      const { nodeId: atA } = frozen
      expect(closed.body).toMatchObject({ closed: 0, acknowledged: [atA], unreachable: [nodeId] })
      expect(one).toMatchObject({ status: 503, body: { code: 'node_unreachable' } })
    }
    const left = { [a.url]: 'serving', [worker.url]: 'serving' }
    await expect.poll(() => statesAt(a), LATER).toEqual(left)
    process.kill(pid, 'SIGCONT')
    await expect.poll(() => statesAt(a), LATER).toEqual({ ...left, [b.url]: 'serving' })
    expect((await nodesAt(b)).nodeId).toBe(nodeId)
    expect(await (await fetch(`${b.url}/metrics`)).text()).toContain('tributary_cluster_leases_lost_total 1')
  })

  it('drain one another', async () => {
    const { reader } = await connect(b, 'alice-token')
    const { nodeId } = await nodesAt(b)
    const answer = await ask(a, 'POST', `/api/cluster/nodes/${nodeId}/drain`)
    expect(answer).toEqual({
      status: 200,
      body: { success: true, nodeId, state: 'draining', limitMs: 2_000 },
    })
    expect(await dataOf(reader, 'disconnected')).toMatchObject({ reason: 'drain', reconnect: true })
    expect(await b.exited).toBe(0)
    // It has left: nobody waits for the end of its lease.
    expect(await statesAt(a)).toEqual({ [a.url]: 'serving', [worker.url]: 'serving' })
    expect(await ask(a, 'POST', `/api/cluster/nodes/${nodeId}/drain`)).toMatchObject({
      status: 404,
      body: { code: 'node_not_found' },
    })
  })
})
