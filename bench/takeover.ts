/**
 * How long nothing goes on where a part of a cluster is killed: a worker with a run, a gateway with one, the gateway of
 * a reader, the master of Redis. Everything is as by default, but for the readers' wait before they come back.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { readStream } from '@tributary/client'
import { Cluster } from '@tributary/e2e/cluster'
import { CountingApi } from './counting-api.ts'
import { median, report } from './figures.ts'
import { LIMIT_MS, until } from './until.ts'

const DEFAULT_ROUNDS = '50'
/** Readers wait so long before they come back, in ms; the default of 3,000 would be most of what is measured. */
const RETRY_MS = 100
const PUBLISH_EVERY_MS = 20
const TOKEN = 'test-token'
const HEADERS = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }

/** Kills something, and answers in how many ms what it had done goes on. */
type Takeover = (cluster: Cluster, api: CountingApi) => Promise<number>

const TAKEOVERS: Readonly<Record<string, { readonly title: string; readonly run: Takeover }>> = {
  worker: { title: 'worker killed: its task is called by another', run: workerTakeover },
  gateway: { title: 'gateway killed: its relay is read on by another', run: gatewayTakeover },
  reader: { title: 'gateway killed: its reader gets the next event at another', run: readerTakeover },
  redis: { title: 'master of Redis killed: a send is acknowledged again', run: redisTakeover },
}

export async function benchTakeover(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { only: { type: 'string', default: Object.keys(TAKEOVERS).join(',') } },
  })
  const rounds = Number(positionals[0] ?? DEFAULT_ROUNDS)
  const rows: Record<string, string | number>[] = []
  const all: Record<string, number[]> = {}
  for (const name of values.only.split(',')) {
    const takeover = TAKEOVERS[name]
    if (takeover === undefined) throw new Error(`${name} is not one of ${Object.keys(TAKEOVERS).join(', ')}`)
    const times = await measure(takeover.run, rounds)
    all[name] = times
    rows.push({
      what: takeover.title,
      'median s': (median(times) / 1_000).toFixed(2),
      'worst s': (Math.max(...times) / 1_000).toFixed(2),
    })
  }
  report(`takeover: ${rounds} of each, NODE_LEASE_MS as by default`, rows, {
    bench: 'takeover',
    rounds,
    ms: all,
  })
}

async function measure(takeover: Takeover, rounds: number): Promise<number[]> {
  await using api = await CountingApi.start()
  await using cluster = await Cluster.start({
    sentinel: true,
    nginx: true,
    env: { RETRY_MS: String(RETRY_MS), OUTBOUND_ALLOW: '127.0.0.1', MAX_CONNECTIONS_PER_USER: '0' },
    gatewayEnv: () => ({ RELAY_ALLOWED_ORIGINS: api.url }),
    onFailure: (fault) => void process.stderr.write(`${fault}\n`),
  })
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    times.push(await takeover(cluster, api))
    process.stderr.write(`${round + 1} of ${rounds}: ${Math.round(times.at(-1) ?? 0)} ms\n`)
    await cluster.redis.settled()
  }
  return times
}

async function workerTakeover(cluster: Cluster, api: CountingApi): Promise<number> {
  const path = api.held()
  const answer = await post(`${cluster.url}/api/sse-proxy/reactive/parallel-tasks/sse-emitter`, {
    tasks: [{ id: 'held', url: api.url + path, timeoutMs: LIMIT_MS, retries: 0 }],
  })
  const owner = await busyOne(cluster.workers, /^tributary_task_attempts_active (\d+)/m)
  await api.calls(path, 1)
  return timed(owner.service.crash(0), () => api.calls(path, 2), answer)
}

async function gatewayTakeover(cluster: Cluster, api: CountingApi): Promise<number> {
  const path = api.ticking()
  const answer = await post(`${cluster.url}/api/sse-proxy/relay/sse-emitter`, { endpoint: api.url + path })
  await api.calls(path, 1)
  const owner = await busyOne(cluster.gateways, /^tributary_runs\{state="running"\} (\d+)/m)
  return timed(owner.service.crash(0), () => api.calls(path, 2), answer)
}

/** A reader through nginx, while it is published at the other gateway. */
async function readerTakeover(cluster: Cluster): Promise<number> {
  const [mine, other] = cluster.gateways
  if (mine === undefined || other === undefined) throw new Error('there are two gateways')
  const stop = new AbortController()
  const seen: number[] = []
  const reading = (async () => {
    const url = `${cluster.url}/api/sse/managed/connect?token=alice-token`
    const options = { url, fetch, signal: stop.signal, retryMs: RETRY_MS, maxRetryMs: RETRY_MS }
    for await (const { type, data } of readStream(options)) if (type === 'tick') seen.push(JSON.parse(data))
  })().catch(() => undefined)
  const sending = sendTicks(other.url, stop.signal)
  try {
    await until(() => seen.length > 0)
    const home = await busyOne(cluster.gateways, /^tributary_streams_open(?:\{[^}]*\})? (\d+)/m)
    const beganAtMs = performance.now()
    const back = home.service.crash(0)
    const sinceMs = Date.now()
    // What was sent after it was killed.
    await until(() => seen.some((ms) => ms > sinceMs))
    const tookMs = performance.now() - beganAtMs
    await back
    return tookMs
  } finally {
    stop.abort()
    await Promise.all([reading, sending])
  }
}

async function redisTakeover(cluster: Cluster): Promise<number> {
  const { withSentinel } = cluster.redis
  if (withSentinel === undefined) throw new Error('there are Sentinels')
  const master = await withSentinel.master()
  await master.kill()
  const beganAtMs = performance.now()
  await until(async () => {
    const answer = await post(`${cluster.url}/api/sse/managed/broadcast`, { event: 'tick', data: 1 })
    await answer.body?.cancel()
    return answer.status === 200
  })
  const tookMs = performance.now() - beganAtMs
  await master.restart()
  return tookMs
}

/** How long it takes from a kill until what was done goes on; the answer is read to nobody's end. */
async function timed(killed: Promise<void>, goesOn: () => Promise<void>, answer: Response): Promise<number> {
  const beganAtMs = performance.now()
  await goesOn()
  const tookMs = performance.now() - beganAtMs
  await killed
  const runId = answer.headers.get('run-id')
  await answer.body?.cancel().catch(() => undefined)
  if (runId === null) throw new Error('a start is answered with a run')
  return tookMs
}

/** The node whose figure is not 0. */
async function busyOne(nodes: Cluster['nodes'], figure: RegExp): Promise<Cluster['nodes'][number]> {
  let found: Cluster['nodes'][number] | undefined
  await until(async () => {
    for (const node of nodes) {
      const text = await (await fetch(`${node.url}/metrics`)).text()
      if (Number(figure.exec(text)?.[1] ?? 0) > 0) found = node
    }
    return found !== undefined
  })
  if (found === undefined) throw new Error('no node is busy')
  return found
}

async function sendTicks(url: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const body = { event: 'tick', data: Date.now() }
    const answer = await post(`${url}/api/sse/managed/send/user/alice`, body).catch(() => undefined)
    await answer?.body?.cancel()
    await delay(PUBLISH_EVERY_MS)
  }
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) })
}
