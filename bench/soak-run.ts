import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import { BenchProcess } from './child-process.ts'
import { warmUpMs } from './heap-verdict.ts'
import type { SoakFigures } from './soak-figures.ts'
import type { PublishedEntry, SoakCommand, SoakReaders, SoakVerdict } from './soak-message.ts'
import type { SoakOptions } from './soak-options.ts'
import { SoakPublisher } from './soak-publisher.ts'

const STREAM_TIMEOUT_MS = 300_000
const HISTORY_MAX_AGE_MS = 300_000
/** History is kept for this long at least: longer than any reader is away in a short soak. */
const SHORTEST_HISTORY_MS = 30_000
const LONGEST_AWAY_MS = 20_000
const SHORTEST_SAMPLE_INTERVAL_MS = 1_000
/** The share of the time that sampling may take: it collects the whole heap, and holds the gateway for as long. */
const SAMPLING_SHARE = 0.02
const LONGEST_SAMPLE_INTERVAL_MS = 15_000
const SAMPLES = 120
const TELL_INTERVAL_MS = 500
/** How long the readers may take to have the rest, beside the longest absence. */
const FINISH_LIMIT_MS = 60_000
/** How long the gateway may take to notice that all of its readers have gone. */
const GONE_LIMIT_MS = 15_000
/** Of the readers that leave, as many pause in the same time. */
const PAUSES_PER_LEAVE = 0.2

/** What was seen of the gateway at one moment of the soak. */
export interface SoakSample extends SoakFigures {
  /** Since publishing began. */
  readonly atMs: number
}

export interface SoakRun {
  readonly durationMs: number
  readonly samples: readonly SoakSample[]
  readonly verdict: SoakVerdict
  readonly published: number
  readonly publisherBehindMs: number
  /** Connections that the gateway still counts once all readers have gone. */
  readonly ghosts: number
}

/** Runs a gateway, its readers and a publisher, and ends them. @param tell takes a line of progress. */
export async function runSoak(
  options: SoakOptions,
  stop: AbortSignal,
  tell: (line: string) => void,
): Promise<SoakRun> {
  const durationMs = options.minutes * 60_000
  const groups = Math.ceil(options.streams / options.groupSize)
  const maxAwayMs = Math.min(LONGEST_AWAY_MS, durationMs / 20)
  await using gateway = await BenchProcess.start('apps/gateway/src/main.ts', gatewayEnv(durationMs), {
    imports: ['./soak-figures.ts'],
    role: 'server',
  })
  await using client = await BenchProcess.start('bench/soak-client.ts', {}, { role: 'client' })
  const order = (command: SoakCommand) => client.tell(command)
  const leavesPerS = (options.streams * options.churnPerMinute) / 60
  const plan: SoakCommand = {
    kind: 'open',
    port: gateway.port,
    streams: options.streams,
    groups,
    leavesPerS,
    pausesPerS: leavesPerS * PAUSES_PER_LEAVE,
    maxAwayMs,
  }
  await client.ask(plan, isReaders, stop)
  tell(`${options.streams} streams are open`)
  order({ kind: 'churn' })

  let news: PublishedEntry[] = []
  const tellNews = () => {
    if (news.length > 0) order({ kind: 'published', entries: news })
    news = []
  }
  await using publisher = new SoakPublisher({
    url: gateway.url,
    groups,
    ratePerS: options.ratePerS,
    onPublished: (entry) => news.push(entry),
  })
  const failed = new AbortController()
  const end = AbortSignal.any([stop, failed.signal, AbortSignal.timeout(durationMs)])
  const teller = setInterval(tellNews, TELL_INTERVAL_MS)
  const samples: SoakSample[] = []
  try {
    const work = [publisher.run(end), sample(gateway, client, durationMs, end, samples, tell)]
    await Promise.all(
      work.map((part) =>
        part.catch((error: unknown) => {
          failed.abort()
          throw error
        }),
      ),
    )
  } finally {
    clearInterval(teller)
  }
  stop.throwIfAborted()
  tellNews()
  const finish: SoakCommand = { kind: 'finish', limitMs: FINISH_LIMIT_MS + maxAwayMs }
  const verdict = await client.ask(finish, isVerdict, stop)
  return {
    durationMs,
    samples,
    verdict,
    published: publisher.sent,
    publisherBehindMs: publisher.longestBehindMs,
    ghosts: await ghostsOf(gateway, stop),
  }
}

/**
 * The gateway as it starts by default, but with room for the readers. In a short soak history and streams live for
 * half of the warm-up at most: before it is judged, history is full, and every stream has ended and come back.
 */
function gatewayEnv(durationMs: number): Record<string, string> {
  const halfMs = warmUpMs(durationMs) / 2
  const historyMs = Math.max(SHORTEST_HISTORY_MS, Math.min(HISTORY_MAX_AGE_MS, halfMs))
  return {
    NODE_ENV: 'development',
    STORE: 'sqlite',
    GATEWAY_PORT: '0',
    DRAIN_MS: '1000',
    MAX_CONNECTIONS: '20000',
    MAX_CONNECTIONS_PER_USER: '0',
    HISTORY_MAX_AGE_MS: String(Math.round(historyMs)),
    STREAM_TIMEOUT_MS: String(Math.round(Math.min(STREAM_TIMEOUT_MS, halfMs))),
  }
}

/** Asks the gateway for its figures, evenly over the time. */
async function sample(
  gateway: BenchProcess,
  client: BenchProcess,
  durationMs: number,
  end: AbortSignal,
  samples: SoakSample[],
  tell: (line: string) => void,
): Promise<void> {
  const wantedMs = Math.max(SHORTEST_SAMPLE_INTERVAL_MS, durationMs / SAMPLES)
  const intervalMs = Math.min(LONGEST_SAMPLE_INTERVAL_MS, wantedMs)
  const beganAt = performance.now()
  let toldMinute = 0
  let waitMs = intervalMs
  while (!end.aborted) {
    const isEnd = await delay(waitMs, false, { signal: end }).catch(() => true)
    if (isEnd) return
    const atMs = performance.now() - beganAt
    const figures = await gateway.ask('figures', isFigures)
    const tookMs = performance.now() - beganAt - atMs
    waitMs = Math.min(LONGEST_SAMPLE_INTERVAL_MS, Math.max(intervalMs, tookMs / SAMPLING_SHARE))
    samples.push({ atMs, ...figures })
    const minute = Math.floor(atMs / 60_000)
    if (minute === toldMinute) continue
    toldMinute = minute
    const { reading, received, opened } = await client.ask({ kind: 'figures' }, isReaders)
    const { heapMb, rssMb, delayMs } = figures
    const sizes = `heap ${heapMb.toFixed(1)} MB, RSS ${rssMb.toFixed(0)} MB, loop late by ${delayMs.p99.toFixed(1)} ms (p99)`
    tell(`${minute} min: ${reading} reading, ${received} received, ${opened} opened, ${sizes}`)
  }
}

/** The connections that the gateway counts, once it has had the time to notice that there are none. */
async function ghostsOf(gateway: BenchProcess, stop: AbortSignal): Promise<number> {
  const until = performance.now() + GONE_LIMIT_MS
  for (;;) {
    const { body } = await request(`${gateway.url}/api/sse/managed/status`, { signal: stop })
    const status: unknown = await body.json()
    const isStatus = typeof status === 'object' && status !== null && 'totalEmitters' in status
    const open = isStatus ? Number(status.totalEmitters) : Number.NaN
    if (open === 0 || performance.now() > until) return open
    await delay(100)
  }
}

const has = (answer: unknown, key: string) => typeof answer === 'object' && answer !== null && key in answer
const isFigures = (answer: unknown): answer is SoakFigures => has(answer, 'heapMb')
const isReaders = (answer: unknown): answer is SoakReaders => has(answer, 'reading')
const isVerdict = (answer: unknown): answer is SoakVerdict => has(answer, 'faults')
