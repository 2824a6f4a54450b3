/**
 * Events a second of one run, read at full speed by one reader: from the worker directly, and through the gateway.
 * While the run makes them, and once it is over and its log is read from its start. Each reading has a run of its own.
 */
import { freePort } from '@tributary/testkit'
import { request } from 'undici'
import { BenchProcess } from './child-process.ts'
import { median, report } from './figures.ts'

const TASKS = 10_000
const CONCURRENCY = 64
const TARGET = 0.6

const WAYS = ['direct', 'relayed'] as const
const WHENS = ['while it runs', 'when it is over'] as const
type Way = (typeof WAYS)[number]
type When = (typeof WHENS)[number]

interface Measured {
  readonly way: Way
  readonly when: When
  readonly round: number
  readonly events: number
  readonly eventsPerS: number
}

export async function benchRelayThroughput(rounds: number): Promise<void> {
  await using api = await BenchProcess.start('bench/local-api.ts')
  await using worker = await BenchProcess.start('apps/worker/src/main.ts', {
    WORKER_PORT: String(await freePort()),
    OUTBOUND_ALLOW: new URL(api.url).host,
    MAX_TASKS: String(TASKS),
  })
  await using gateway = await BenchProcess.start('apps/gateway/src/main.ts', {
    GATEWAY_PORT: '0',
    WORKER_URLS: worker.url,
  })
  const from: Record<Way, string> = { direct: worker.url, relayed: gateway.url }
  const results: Measured[] = []
  // The first round warms all up.
  for (let round = -1; round < rounds; round++) {
    for (const when of WHENS) {
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
        const events = await startRun(worker.url, api.url)
        if (when === 'when it is over') await readAll(worker.url + events)
        const figures = await readAll(from[way] + events)
        if (round >= 0) results.push({ way, when, round, ...figures })
      }
    }
  }
  const rows = WHENS.flatMap((when) => WAYS.map((way) => rowOf(results, when, way)))
  report(`relay: a run of ${TASKS} tasks, one reader at full speed, ${rounds} rounds in turn`, rows, {
    bench: 'relay-throughput',
    rounds,
    target: TARGET,
    results,
  })
}

/** Answers the path of the run's events. */
async function startRun(workerUrl: string, apiUrl: string): Promise<string> {
  const tasks = Array.from({ length: TASKS }, (_, n) => ({ id: `t${n}`, url: `${apiUrl}/items/${n}` }))
  const { statusCode, headers, body } = await request(`${workerUrl}/api/sse/emitter/parallel-tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ tasks, concurrency: CONCURRENCY }),
  })
  await body.dump()
  if (statusCode !== 202) throw new Error(`a run was not accepted: ${statusCode}`)
  return `/api/runs/${String(headers['run-id'])}/events`
}

/** Counts ids, and takes no time for anything else. @throws Error where fewer come than the tasks have events. */
async function readAll(url: string): Promise<Pick<Measured, 'events' | 'eventsPerS'>> {
  const startedAt = performance.now()
  const { body } = await request(url)
  let events = 0
  let last = Buffer.alloc(0)
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) throw new Error('bytes were asked for')
    // What one chunk cuts in two is found with the end of the one before.
    const text = Buffer.concat([last, chunk])
    let at = text.indexOf(ID)
    let end = 0
    for (; at >= 0; at = text.indexOf(ID, end)) {
      events += 1
      end = at + ID.length
    }
    last = text.subarray(Math.max(end, text.length - ID.length + 1))
  }
  const seconds = (performance.now() - startedAt) / 1_000
  if (events < 2 * TASKS) throw new Error(`${events} events came of ${2 * TASKS}`)
  return { events, eventsPerS: events / seconds }
}

const ID = Buffer.from('\nid: ')

function rowOf(results: readonly Measured[], when: When, way: Way) {
  const own = results.filter((result) => result.when === when && result.way === way)
  const ratios = own.flatMap(({ round, eventsPerS }) => {
    const direct = results.find((one) => one.when === when && one.round === round && one.way === 'direct')
    return direct === undefined ? [] : [eventsPerS / direct.eventsPerS]
  })
  return {
    read: when,
    from: way === 'direct' ? 'the worker' : 'the gateway',
    'events/s': Math.round(median(own.map(({ eventsPerS }) => eventsPerS))),
    ratio: median(ratios).toFixed(2),
  }
}
