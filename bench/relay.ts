/**
 * What relaying costs: 200 events a second of one run, read from the worker directly and through the gateway at
 * the same time; the delay that the gateway adds, event by event. Then how many a second come through.
 */
import { SseDecoder } from '@tributary/protocol'
import { lastingPort } from '@tributary/testkit'
import { request } from 'undici'
import { BenchProcess } from './child-process.ts'
import { median, quantile, report } from './figures.ts'
import { benchRelayThroughput } from './relay-throughput.ts'

const EVENTS = 1_000
const INTERVAL_MS = 5
const DEFAULT_ROUNDS = 5
const AIM_MS = 2

export async function benchRelay(rounds = DEFAULT_ROUNDS): Promise<void> {
  await benchRelayDelay(rounds)
  await benchRelayThroughput(rounds)
}

async function benchRelayDelay(rounds: number): Promise<void> {
  await using worker = await BenchProcess.start('apps/worker/src/main.ts', {
    WORKER_PORT: String(await lastingPort()),
  })
  await using gateway = await BenchProcess.start('apps/gateway/src/main.ts', {
    GATEWAY_PORT: '0',
    WORKER_URLS: worker.url,
  })
  const medians: number[] = []
  const p99s: number[] = []
  // The first round warms both up.
  for (let round = -1; round < rounds; round++) {
    const added = await addedDelays(worker.url, gateway.url)
    if (round < 0) continue
    medians.push(median(added))
    p99s.push(quantile(added, 0.99))
  }
  const rate = `${1_000 / INTERVAL_MS} events/s`
  report(
    `relay: ${rate}, ${EVENTS} events, ${rounds} rounds`,
    [
      {
        what: 'added by the gateway',
        'median ms': median(medians).toFixed(2),
        'p99 ms': median(p99s).toFixed(2),
      },
    ],
    { bench: 'relay', rounds, medianMs: median(medians), p99Ms: median(p99s), aimMs: AIM_MS, medians, p99s },
  )
}

/** For each event of a run: how much later it came through the gateway than from the worker, in ms. */
async function addedDelays(workerUrl: string, gatewayUrl: string): Promise<number[]> {
  const started = await request(
    `${workerUrl}/api/sse/flow-example?count=${EVENTS}&intervalMs=${INTERVAL_MS}`,
    {
      headers: { accept: 'application/json' },
    },
  )
  const events = `/api/runs/${String(started.headers['run-id'])}/events`
  await started.body.dump()
  const [direct, relayed] = await Promise.all([arrivals(workerUrl + events), arrivals(gatewayUrl + events)])
  const added = [...direct].flatMap(([id, at]) => {
    const through = relayed.get(id)
    return through === undefined ? [] : [through - at]
  })
  if (added.length < EVENTS) throw new Error(`events are missing: ${added.length} of ${EVENTS}`)
  // The first ones were there before the streams stood.
  return added.slice(100)
}

/** When each event of a stream came, by its id. */
async function arrivals(url: string): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  const { body } = await request(url)
  const decoder = new SseDecoder({
    onEvent: ({ id, type }) => {
      if (id !== undefined && type === 'flow_item') times.set(id, performance.now())
    },
  })
  for await (const chunk of body) decoder.feed(chunk)
  return times
}
