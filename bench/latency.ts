/**
 * How long an event is on its way, from when it was due to be published to when a stream is read: at shares of the
 * rate that bare node:http reaches in the same round.
 */
import { comparisonOptions } from './comparison-options.ts'
import { median, report } from './figures.ts'
import type { Delivered } from './load-client.ts'
import { describePinning } from './pinning.ts'
import { RIVALS, type RivalName, rotated, startTrial } from './rivals/rival.ts'

const DEFAULT_ROUNDS = 5
const STREAMS = 1_000
const BYTES = 100
const SHARES = [0.25, 0.5, 0.75]
/** Who is compared with, and whose rate counts. */
const BASE = 'bare'
const DEFAULT_RIVALS = 'bare,tributary'
/** More than one, so that an event is sent when it is due, though the one before it is not answered yet. */
const PUBLISHERS = 4
const WARM_UP_S = 2
const SECONDS = 3
const TARGET_P99 = 1.2

interface Measured extends Delivered {
  readonly rival: RivalName
  readonly round: number
  readonly share: number
}

export async function benchLatency(args: readonly string[]): Promise<void> {
  const { rounds, rivals } = comparisonOptions(args, { rounds: DEFAULT_ROUNDS, only: DEFAULT_RIVALS })
  const results: Measured[] = []
  for (let round = 0; round < rounds; round++) {
    const rate = await fullRate()
    for (const rival of rotated(rivals, round)) {
      for (const { share, ...figures } of await measure(rival, rate)) {
        results.push({ ...figures, rival, round, share })
      }
    }
  }
  const rows = SHARES.flatMap((share) => rivals.map((rival) => rowOf(results, share, rival)))
  report(`latency: ${STREAMS} streams, ${rounds} rounds in turn, ${describePinning()}`, rows, {
    bench: 'latency',
    rounds,
    targetP99: TARGET_P99,
    results,
  })
}

/** Events a second that one publisher gets through to all streams of bare node:http. */
async function fullRate(): Promise<number> {
  await using trial = await startTrial(BASE)
  await trial.client.open(STREAMS)
  await trial.client.publish({ publishers: 1, bytes: BYTES, seconds: WARM_UP_S })
  const { publishesPerS } = await trial.client.publish({ publishers: 1, bytes: BYTES, seconds: SECONDS })
  return publishesPerS
}

async function measure(rival: RivalName, fullRate: number) {
  await using trial = await startTrial(rival)
  const { client } = trial
  await client.open(STREAMS)
  await client.publish({ publishers: 1, bytes: BYTES, seconds: WARM_UP_S })
  const results: (Delivered & { share: number })[] = []
  for (const share of SHARES) {
    const load = { publishers: PUBLISHERS, bytes: BYTES, rate: share * fullRate }
    await client.publish({ ...load, seconds: 0.5 })
    results.push({ ...(await client.publish({ ...load, seconds: SECONDS })), share })
  }
  return results
}

function rowOf(results: readonly Measured[], share: number, rival: RivalName) {
  const own = results.filter((result) => result.share === share && result.rival === rival)
  const ratio = (figure: 'p50Ms' | 'p99Ms') => {
    const ratios = own.flatMap(({ round, [figure]: ms }) => {
      const base = results.find((one) => one.share === share && one.round === round && one.rival === BASE)
      return base === undefined ? [] : [ms / base[figure]]
    })
    return median(ratios).toFixed(2)
  }
  return {
    'of the full rate': share,
    'events/s': median(own.map(({ publishesPerS }) => publishesPerS)).toFixed(0),
    server: RIVALS[rival].title,
    'p50 ms': median(own.map(({ p50Ms }) => p50Ms)).toFixed(2),
    'p99 ms': median(own.map(({ p99Ms }) => p99Ms)).toFixed(2),
    'p50 to bare Node': ratio('p50Ms'),
    'p99 to bare Node': ratio('p99Ms'),
    'server busy': median(own.map(({ serverCpuS, seconds }) => serverCpuS / seconds)).toFixed(2),
  }
}
