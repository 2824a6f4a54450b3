/** How fast streams are opened: 10,000 of them, two hundred at a time; then the same once more, as they come back. */
import { comparisonOptions } from './comparison-options.ts'
import { median, report } from './figures.ts'
import type { Opened } from './load-client.ts'
import { describePinning } from './pinning.ts'
import { RIVALS, type RivalName, rotated, startTrial } from './rivals/rival.ts'

const DEFAULT_ROUNDS = 5
const BASE = 'bare'
const DEFAULT_RIVALS = 'bare,tributary'
const STREAMS = 10_000
/** Opened before, as a server that has run for a second has opened some. */
const EARLIER_STREAMS = 1_000
const TARGET = 0.7
const AIM = 0.9

interface Measured {
  readonly rival: RivalName
  readonly round: number
  readonly first: Opened
  readonly again: Opened
}

export async function benchConnect(args: readonly string[]): Promise<void> {
  const { rounds, rivals } = comparisonOptions(args, { rounds: DEFAULT_ROUNDS, only: DEFAULT_RIVALS })
  const results: Measured[] = []
  for (let round = 0; round < rounds; round++) {
    for (const rival of rotated(rivals, round)) {
      await using trial = await startTrial(rival)
      await trial.client.open(EARLIER_STREAMS)
      const first = await trial.client.open(EARLIER_STREAMS + STREAMS)
      results.push({ rival, round, first, again: await trial.client.reconnect(STREAMS) })
    }
  }
  const rows = (['first', 'again'] as const).flatMap((when) =>
    rivals.map((rival) => rowOf(results, when, rival)),
  )
  report(`connect: ${STREAMS} streams, ${rounds} rounds in turn, ${describePinning()}`, rows, {
    bench: 'connect',
    rounds,
    target: TARGET,
    aim: AIM,
    results,
  })
}

function rowOf(results: readonly Measured[], when: 'first' | 'again', rival: RivalName) {
  const own = results.filter((result) => result.rival === rival)
  const ratios = own.flatMap(({ round, [when]: { connectsPerS } }) => {
    const base = results.find((result) => result.rival === BASE && result.round === round)
    return base === undefined ? [] : [connectsPerS / base[when].connectsPerS]
  })
  return {
    streams: when === 'first' ? 'opened' : 'closed and opened again',
    server: RIVALS[rival].title,
    'connects/s': Math.round(median(own.map(({ [when]: { connectsPerS } }) => connectsPerS))),
    'to bare Node': median(ratios).toFixed(2),
    'connects/CPU s': Math.round(
      median(own.map(({ [when]: { opened, serverCpuS } }) => opened / serverCpuS)),
    ),
  }
}
