import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { playRound, type RoundResult, type RoundWorld } from './chaos-round.ts'
import { SeededRandom } from './seeded-random.ts'

export interface ChaosOptions {
  /** Starts what the rounds are played over. Its data and logs go to the folder. */
  start(folder: string, random: SeededRandom): Promise<RoundWorld & AsyncDisposable>
  readonly rounds: number
  readonly seed: number
  /** Whether to go on after a round that failed. Default false. */
  readonly keepGoing?: boolean
  /** Takes one line a round, and more where one fails. */
  report(line: string): void
  /** Ends it before its time. */
  readonly signal?: AbortSignal | undefined
}

export interface ChaosResult {
  readonly rounds: readonly RoundResult[]
  readonly failed: readonly RoundResult[]
  /** Where data and logs are kept: only where a round failed. */
  readonly folder: string | undefined
}

/** Violations of a round that are reported one by one; all of them are in the folder. */
const MAX_REPORTED = 20
/** In one round of so many little history is kept, so that there are gaps to be told. */
const SHORT_EVERY = 5
/** Coming to rest takes longer than this only where something waited: the report says for what. */
const SLOW_MS = 5_000

/** Plays rounds over one gateway and one worker, or a cluster, whose data grow from round to round. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { rounds: count, seed, keepGoing = false, report, signal } = options
  const folder = await mkdtemp(join(tmpdir(), 'tributary-chaos-'))
  const random = new SeededRandom(seed)
  const rounds: RoundResult[] = []
  const failed: RoundResult[] = []
  try {
    await using world = await options.start(folder, random.fork(0))
    for (let number = 1; number <= count && signal?.aborted !== true; number++) {
      const round = playRound(world, {
        number,
        random: random.fork(number),
        history: number % SHORT_EVERY === 0 ? 'short' : 'long',
        since: rounds.at(-1)?.lastId,
        signal,
      })
      const result = await Promise.race([round, aborted(signal)])
      if (result === undefined) break
      rounds.push(result)
      report(describeRound(result))
      if (result.violations.length === 0) continue
      failed.push(result)
      await writeFile(join(folder, `round-${number}.txt`), `seed ${seed}\n${result.violations.join('\n')}\n`)
      const readers = result.hub.readers.map(({ topics, ...reader }) => ({ ...reader, topics: [...topics] }))
      await writeFile(join(folder, `round-${number}.json`), JSON.stringify({ ...result.hub, readers }))
      for (const violation of result.violations.slice(0, MAX_REPORTED)) report(`  ${violation}`)
      const more = result.violations.length - MAX_REPORTED
      if (more > 0) report(`  … and ${more} more`)
      if (!keepGoing) break
    }
  } finally {
    if (failed.length === 0) await rm(folder, { recursive: true, force: true })
  }
  return { rounds, failed, folder: failed.length === 0 ? undefined : folder }
}

function aborted(signal: AbortSignal | undefined): Promise<undefined> {
  return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(undefined), { once: true }))
}

function describeRound(result: RoundResult): string {
  const { number, faults, published, read, gaps, runs, gone, calls, ms, last, violations } = result
  const outcome = violations.length === 0 ? 'ok' : `${violations.length} VIOLATIONS`
  return [
    `round ${number}`,
    faults.join(', '),
    `${published} published, ${read} read, ${gaps > 0 ? `${gaps} gaps, ` : ''}${runs} runs, ${gone > 0 ? `${gone} of them gone, ` : ''}${calls} calls`,
    `${outcome} in ${(ms / 1_000).toFixed(1)} s${last.ms > SLOW_MS ? `, ${last.ms} ms of them for ${last.what}` : ''}`,
  ].join(' | ')
}
