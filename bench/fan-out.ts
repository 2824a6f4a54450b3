/**
 * What one core delivers: events to many streams, published by one and by sixteen, beside the floor and what else
 * people use. A round starts every server anew; each delivery is counted, and a lost one fails the benchmark.
 */
import { parseArgs } from 'node:util'
import { median, report } from './figures.ts'
import type { Delivered } from './load-client.ts'
import { describePinning } from './pinning.ts'
import { RIVALS, type RivalName, rivalsOf, rotated, startTrial } from './rivals/rival.ts'

const DEFAULTS = {
  rounds: 5,
  only: 'floor,bare,raw,better-sse,fastify-sse,nchan,tributary',
  streams: '100,1000,10000',
  publishers: '1,16',
  bytes: '100,1024',
  seconds: '2',
}
/** About a minute. */
const SHORT = {
  ...DEFAULTS,
  rounds: 3,
  only: 'floor,bare,tributary',
  streams: '1000',
  bytes: '100',
  seconds: '1.5',
}

/** Of the first load on a server, and of each later one. */
const WARM_UP_S = 1.5
const LATER_WARM_UP_S = 0.5

/**
 * Of bare node:http in the same round; below it the short form fails. Machines of CI are small and shared, so that
 * one round may be off by a third: half is what no noise explains, and what a copy or an encoding per stream costs.
 */
const GROSS_REGRESSION = 0.5

interface Case {
  readonly streams: number
  readonly publishers: number
  readonly bytes: number
}

interface Measured extends Case, Delivered {
  readonly rival: RivalName
  readonly round: number
}

export async function benchFanOut(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      short: { type: 'boolean' },
      only: { type: 'string' },
      streams: { type: 'string' },
      publishers: { type: 'string' },
      bytes: { type: 'string' },
      seconds: { type: 'string' },
    },
  })
  const plan = { ...(values.short === true ? SHORT : DEFAULTS), ...values }
  const rounds = Number(positionals[0] ?? plan.rounds)
  const rivals = rivalsOf(plan.only)
  const cases = casesOf(plan)
  const results: Measured[] = []
  for (let round = 0; round < rounds; round++) {
    for (const rival of rotated(rivals, round)) {
      for (const figures of await measure(rival, cases, Number(plan.seconds))) {
        results.push({ ...figures, rival, round })
      }
    }
  }
  const rows = cases.flatMap((one) => rivals.map((rival) => rowOf(results, one, rival)))
  report(`fan-out: ${rounds} rounds in turn, ${describePinning()}`, rows, {
    bench: 'fan-out',
    rounds,
    results,
  })
  if (values.short === true) failOnRegression(results, cases)
}

/** Grouped by streams, which are only added while a server runs. */
function casesOf(plan: Readonly<Record<'streams' | 'publishers' | 'bytes', string>>): readonly Case[] {
  const numbers = (list: string) => list.split(',').map(Number)
  return numbers(plan.streams)
    .toSorted((a, b) => a - b)
    .flatMap((streams) =>
      numbers(plan.bytes).flatMap((bytes) =>
        numbers(plan.publishers).map((publishers) => ({ streams, bytes, publishers })),
      ),
    )
}

async function measure(
  name: RivalName,
  cases: readonly Case[],
  seconds: number,
): Promise<readonly (Case & Delivered)[]> {
  await using trial = await startTrial(name)
  const { client } = trial
  const results: (Case & Delivered)[] = []
  let opened = 0
  for (const one of cases) {
    const { streams, publishers, bytes } = one
    if (streams !== opened) await client.open(streams)
    opened = streams
    const warmUpS = results.length === 0 ? WARM_UP_S : LATER_WARM_UP_S
    await client.publish({ publishers, bytes, seconds: warmUpS })
    results.push({ ...one, ...(await client.publish({ publishers, bytes, seconds })) })
  }
  return results
}

function rowOf(results: readonly Measured[], one: Case, rival: RivalName) {
  const own = select(results, one, rival)
  const share = (to: RivalName, rate?: Rate) => ratioOf(results, one, rival, to, rate)?.toFixed(2) ?? ''
  return {
    streams: one.streams,
    bytes: one.bytes,
    publishers: one.publishers,
    server: RIVALS[rival].title,
    'deliveries/s': Math.round(median(own.map(({ deliveriesPerS }) => deliveriesPerS))),
    'to the floor': share('floor'),
    'to bare Node': share('bare'),
    'deliveries/CPU s': Math.round(median(own.map(perCpuSecond))),
    'CPU to the floor': share('floor', perCpuSecond),
    'server busy': median(own.map(({ serverCpuS, seconds }) => serverCpuS / seconds)).toFixed(2),
    'client busy': median(own.map(({ clientCpuS, seconds }) => clientCpuS / seconds)).toFixed(2),
  }
}

type Rate = (figures: Delivered) => number

const perSecond: Rate = ({ deliveriesPerS }) => deliveriesPerS

/** Of the time that the server really ran: what others take from its core is no part of it. */
const perCpuSecond: Rate = ({ delivered, serverCpuS }) => delivered / serverCpuS

/** The median, over the rounds, of what one delivers to what another does in the same round. */
function ratioOf(
  results: readonly Measured[],
  one: Case,
  of: RivalName,
  to: RivalName,
  rate: Rate = perSecond,
): number | undefined {
  const others = select(results, one, to)
  const ratios = select(results, one, of).flatMap((figures) => {
    const other = others.find(({ round }) => round === figures.round)
    return other === undefined ? [] : [rate(figures) / rate(other)]
  })
  return ratios.length === 0 ? undefined : median(ratios)
}

function select(results: readonly Measured[], one: Case, rival: RivalName): readonly Measured[] {
  return results.filter(
    (result) =>
      result.rival === rival &&
      result.streams === one.streams &&
      result.bytes === one.bytes &&
      result.publishers === one.publishers,
  )
}

function failOnRegression(results: readonly Measured[], cases: readonly Case[]): void {
  for (const one of cases) {
    const ratio = ratioOf(results, one, 'tributary', 'bare')
    if (ratio !== undefined && ratio >= GROSS_REGRESSION) continue
    const found = ratio === undefined ? 'nothing' : ratio.toFixed(2)
    process.stderr.write(
      `Tributary reaches ${found} of bare node:http with ${one.publishers} publishers; ${GROSS_REGRESSION} is the least.\n`,
    )
    process.exitCode = 1
  }
}
