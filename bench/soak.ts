/**
 * `pnpm soak`: thousands of streams that come and go, for an hour, and events to their groups. It fails where the
 * gateway's collected heap grows, or where an event is lost, doubled or out of order for any of its readers.
 */
import { median, report } from './figures.ts'
import { type HeapVerdict, heapVerdict } from './heap-verdict.ts'
import { readSoakOptions, SOAK_USAGE, type SoakOptions } from './soak-options.ts'
import { runSoak, type SoakRun, type SoakSample } from './soak-run.ts'
import { growthPercent } from './trend.ts'

const TEN_MINUTES_MS = 600_000
/** Of the rate asked for, what must have been published for the soak to have been one. */
const LEAST_RATE = 0.95

function faultsOf(options: SoakOptions, run: SoakRun, { growth, limit }: HeapVerdict): string[] {
  const { verdict, ghosts, published, durationMs } = run
  const found = Object.entries(verdict.faults)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)
  found.push(...verdict.examples)
  if (limit !== undefined && growth !== undefined && growth > limit) {
    found.push(
      `the collected heap grew by ${growth.toFixed(2)} % in ten minutes; ${limit.toFixed(2)} are allowed`,
    )
  }
  if (ghosts !== 0) found.push(`${ghosts} connections are still counted when all readers have gone`)
  const wanted = (options.ratePerS * durationMs) / 1_000
  if (published < LEAST_RATE * wanted)
    found.push(`${published} events were published, not ${wanted.toFixed(0)}`)
  return found
}

function tableOf(samples: readonly SoakSample[], fromMs: number): Record<string, string>[] {
  const kept = samples.filter(({ atMs }) => atMs >= fromMs)
  const row = (what: string, of: (sample: SoakSample) => number, isTrend = true) => {
    const points = kept.map((sample) => ({ atMs: sample.atMs, value: of(sample) }))
    const values = points.map(({ value }) => value)
    return {
      gateway: what,
      median: median(values).toFixed(1),
      least: Math.min(...values).toFixed(1),
      most: Math.max(...values).toFixed(1),
      '% in ten minutes':
        isTrend && points.length > 1 ? growthPercent(points, TEN_MINUTES_MS).toFixed(2) : '',
    }
  }
  return [
    row('collected heap, MB', ({ heapMb }) => heapMb),
    row('external, MB', ({ externalMb }) => externalMb),
    row('RSS, MB', ({ rssMb }) => rssMb),
    row('open files', ({ handles }) => handles),
    row('event loop late, p99 ms', ({ delayMs }) => delayMs.p99, false),
    row('event loop late, longest ms', ({ delayMs }) => delayMs.longest, false),
  ]
}

function counts(record: Readonly<Record<string, number>>): string {
  const parts = Object.entries(record).map(([key, count]) => `${count} ${key}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}

function tell(options: SoakOptions, run: SoakRun, heap: HeapVerdict, faults: readonly string[]): void {
  const { verdict, samples, published, publisherBehindMs, durationMs } = run
  const { readers, caughtUpMs } = verdict
  const cpu = (samples.at(-1)?.cpuMs ?? 0) - (samples[0]?.cpuMs ?? 0)
  const cpuShare = cpu / ((samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0))
  const allowed = heap.limit === undefined ? 'too short to be judged' : `${heap.limit.toFixed(2)} % allowed`
  const lines = [
    `published ${published} at ${((published * 1_000) / durationMs).toFixed(1)}/s, at most ${publisherBehindMs.toFixed(0)} ms late`,
    `received ${readers.received}, the last of it ${caughtUpMs.toFixed(0)} ms after the end`,
    `streams opened ${readers.opened}; readers left: ${counts(readers.left)}; paused: ${readers.paused}`,
    `told why: ${counts(readers.ended)}; refused: ${counts(readers.refused)}`,
    `gateway's CPU: ${(100 * cpuShare).toFixed(0)} % of a core`,
    `heap from ${(heap.fromMs / 60_000).toFixed(1)} min: ${heap.growth?.toFixed(2) ?? '?'} % in ten minutes, ${allowed}`,
  ]
  process.stdout.write(`${lines.join('\n')}\n\n`)
  const rows = tableOf(samples, heap.fromMs)
  const { minutes, streams, ratePerS } = options
  report(`soak: ${minutes} min, ${streams} streams, ${ratePerS} events/s`, rows, {
    bench: 'soak',
    options,
    heap,
    published,
    publisherBehindMs,
    cpuShare,
    ghosts: run.ghosts,
    verdict,
    faults,
    samples,
  })
}

async function main(): Promise<number> {
  let options: SoakOptions
  try {
    options = readSoakOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${SOAK_USAGE}`)
    return 2
  }
  const stop = new AbortController()
  process.on('SIGINT', () => stop.abort())
  process.on('SIGTERM', () => stop.abort())
  try {
    const run = await runSoak(options, stop.signal, (line) => process.stderr.write(`${line}\n`))
    const heap = heapVerdict(
      run.samples.map(({ atMs, heapMb }) => ({ atMs, value: heapMb })),
      run.durationMs,
    )
    const faults = faultsOf(options, run, heap)
    tell(options, run, heap, faults)
    for (const fault of faults) process.stderr.write(`soak: ${fault}\n`)
    return faults.length === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`soak: ${stop.signal.aborted ? 'interrupted' : error}\n`)
    return stop.signal.aborted ? 130 : 1
  }
}

process.exit(await main())
