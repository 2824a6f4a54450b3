/** How fast streams are opened: 10,000 of them, two hundred at a time; then the same once more, as they come back. */
import { comparisonOptions } from './comparison-options.ts'
import { median, report } from './figures.ts'
import type { Opened } from './load-client.ts'
import { describePinning } from './pinning.ts'
import { RIVALS, type RivalName, rotated, startTrial } from './rivals/rival.ts'

const DEFAULT_ROUNDS = 5
const BASE = 'bare'
const DEFAULT_RIVALS = 'bare,tributary,tributary-signed'
/** What a signed token costs is told against the same without. */
const UNSIGNED = 'tributary'
const SIGNED = 'tributary-signed'
const SIGNED_TARGET = 0.7
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
    signed: signedShares(results),
    signedTarget: SIGNED_TARGET,
    results,
  })
}

function rowOf(results: readonly Measured[], when: 'first' | 'again', rival: RivalName) {
  const own = results.filter((result) => result.rival === rival)
  return {
    streams: when === 'first' ? 'opened' : 'closed and opened again',
    server: RIVALS[rival].title,
    'connects/s': Math.round(median(own.map(({ [when]: { connectsPerS } }) => connectsPerS))),
    'to bare Node': median(ratios(results, when, rival, BASE)).toFixed(2),
    'to unsigned': rival === SIGNED ? median(ratios(results, when, rival, UNSIGNED)).toFixed(2) : '',
    'connects/CPU s': Math.round(
      median(own.map(({ [when]: { opened, serverCpuS } }) => opened / serverCpuS)),
    ),
  }
}

/** What one rival reached in each round, by what another reached in the same. */
function ratios(
  results: readonly Measured[],
  when: 'first' | 'again',
  rival: RivalName,
  base: RivalName,
): number[] {
  return results.flatMap(({ round, rival: name, [when]: { connectsPerS } }) => {
    const other = results.find((result) => result.rival === base && result.round === round)
    return name !== rival || other === undefined ? [] : [connectsPerS / other[when].connectsPerS]
  })
}

/** The median share of the rate that is left with signed tokens: verified once, and remembered. */
function signedShares(results: readonly Measured[]) {
  return {
    first: median(ratios(results, 'first', SIGNED, UNSIGNED)),
    again: median(ratios(results, 'again', SIGNED, UNSIGNED)),
  }
}
