/**
 * Events a second to one reader at full speed: directly from who makes them, and through the gateway. Of a run while
 * its worker makes them; of one that is over, read from its start, and once more, which the gateway then has; and of a
 * foreign stream that is never slower than its reader. Each reading has a run or a stream of its own.
 */
import { lastingPort } from '@tributary/testkit'
import { request } from 'undici'
import { BenchProcess } from './child-process.ts'
import { median, report } from './figures.ts'

const TASKS = 10_000
const CONCURRENCY = 64
const FOREIGN_EVENTS = 50_000
const TARGET = 0.6

const WAYS = ['direct', 'relayed'] as const
const WHATS = ['a run that goes on', 'a run that is over', 'the same again', 'a foreign stream'] as const
type Way = (typeof WAYS)[number]
type What = (typeof WHATS)[number]

interface Measured {
  readonly way: Way
  readonly what: What
  readonly round: number
  readonly events: number
  readonly eventsPerS: number
}

interface Reading {
  readonly what: What
  readonly eventsPerS: number
  readonly events: number
}

interface Urls {
  readonly api: string
  readonly worker: string
  readonly gateway: string
  readonly foreign: string
}

export async function benchRelayThroughput(rounds: number): Promise<void> {
  await using api = await BenchProcess.start('bench/local-api.ts')
  await using foreign = await BenchProcess.start('bench/foreign-stream.ts')
  await using worker = await BenchProcess.start('apps/worker/src/main.ts', {
    WORKER_PORT: String(await lastingPort()),
    OUTBOUND_ALLOW: new URL(api.url).host,
    MAX_TASKS: String(TASKS),
  })
  await using gateway = await BenchProcess.start('apps/gateway/src/main.ts', {
    GATEWAY_PORT: '0',
    WORKER_URLS: worker.url,
    RELAY_ALLOWED_ORIGINS: foreign.url,
    OUTBOUND_ALLOW: new URL(foreign.url).host,
  })
  const urls = { api: api.url, worker: worker.url, gateway: gateway.url, foreign: foreign.url }
  const results: Measured[] = []
  // The first round warms all up.
  for (let round = -1; round < rounds; round++) {
    for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
      const readings = [...(await readRuns(urls, way)), await readForeign(urls, way)]
      if (round >= 0) results.push(...readings.map((reading) => ({ way, round, ...reading })))
    }
  }
  const rows = WHATS.flatMap((what) => WAYS.map((way) => rowOf(results, what, way)))
  const title = `relay: runs of ${TASKS} tasks, a stream of ${FOREIGN_EVENTS} events, ${rounds} rounds in turn`
  report(title, rows, { bench: 'relay-throughput', rounds, target: TARGET, results })
}

async function readRuns(urls: Urls, way: Way): Promise<Reading[]> {
  const from = way === 'direct' ? urls.worker : urls.gateway
  const going = await readAll(from + (await startRun(urls)), 2 * TASKS)
  const over = await startRun(urls)
  await readAll(urls.worker + over, 2 * TASKS)
  const first = await readAll(from + over, 2 * TASKS)
  const again = await readAll(from + over, 2 * TASKS)
  return [
    { what: 'a run that goes on', ...going },
    { what: 'a run that is over', ...first },
    { what: 'the same again', ...again },
  ]
}

async function readForeign({ foreign, gateway }: Urls, way: Way): Promise<Reading> {
  const endpoint = `${foreign}/?count=${FOREIGN_EVENTS}`
  const figures =
    way === 'direct'
      ? await readAll(endpoint, FOREIGN_EVENTS)
      : await readAll(`${gateway}/api/sse-proxy/relay/sse-emitter`, FOREIGN_EVENTS, { endpoint })
  return { what: 'a foreign stream', ...figures }
}

/** Answers the path of the run's events. */
async function startRun({ worker, api }: Urls): Promise<string> {
  const tasks = Array.from({ length: TASKS }, (_, n) => ({ id: `t${n}`, url: `${api}/items/${n}` }))
  const { statusCode, headers, body } = await request(`${worker}/api/sse/emitter/parallel-tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ tasks, concurrency: CONCURRENCY }),
  })
  await body.dump()
  if (statusCode !== 202) throw new Error(`a run was not accepted: ${statusCode}`)
  return `/api/runs/${String(headers['run-id'])}/events`
}

/**
 * Counts ids, and takes no time for anything else. A GET where nothing is posted.
 *
 * @throws Error where fewer come than there are at least.
 */
async function readAll(
  url: string,
  atLeast: number,
  post?: object,
): Promise<Pick<Measured, 'events' | 'eventsPerS'>> {
  const startedAt = performance.now()
  const { body } = await request(url, post === undefined ? {} : posted(post))
  let events = 0
  // The first may be what a stream begins with.
  let last = Buffer.from('\n')
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
  if (events < atLeast) throw new Error(`${events} events came of ${atLeast}`)
  return { events, eventsPerS: events / seconds }
}

function posted(post: object) {
  const headers = { accept: 'text/event-stream', 'content-type': 'application/json' }
  return { method: 'POST', headers, body: JSON.stringify(post) } as const
}

const ID = Buffer.from('\nid: ')

function rowOf(results: readonly Measured[], what: What, way: Way) {
  const figures = (of: Way) => results.filter((one) => one.what === what && one.way === of)
  const rate = (of: Way) => median(figures(of).map(({ eventsPerS }) => eventsPerS))
  return {
    read: what,
    from: way === 'direct' ? 'who makes it' : 'the gateway',
    'events/s': Math.round(rate(way)),
    ratio: (rate(way) / rate('direct')).toFixed(2),
  }
}
