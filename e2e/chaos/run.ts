/**
 * `pnpm chaos [--cluster] [--rounds N] [--seed S]`: kills, stops and cuts a gateway and a worker, or a cluster, under
 * load, and compares.
 */
import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { ChaosWorld } from './chaos-world.ts'
import { ALL_CLUSTER_FAULTS, isClusterFaultKind } from './cluster-fault.ts'
import { ClusterWorld } from './cluster-world.ts'
import { ALL_FAULTS, isFaultKind } from './fault.ts'
import type { SeededRandom } from './seeded-random.ts'

const USAGE = `Usage: pnpm chaos [--cluster] [--rounds N] [--seed S] [--faults kind,kind] [--keep-going]

  --cluster     two gateways, two workers, Redis with Sentinels and nginx, in place of one gateway and one worker
  --rounds      how many, 5 by default
  --seed        of an earlier run, to do the same again; by default a new one
  --faults      only these, as "kill-worker,cut-readers"; a kind that is named twice comes twice as often
  --keep-going  goes on after a round that failed
`

const print = (line: string) => void process.stdout.write(`${line}\n`)

function readOptions() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      cluster: { type: 'boolean', default: false },
      faults: { type: 'string' },
      'keep-going': { type: 'boolean', default: false },
    },
  })
  const [rounds, seed] = [Number(values.rounds), Number(values.seed)]
  if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed)) throw new Error('Numbers are whole')
  return { rounds, seed, keepGoing: values['keep-going'], start: starterOf(values.cluster, values.faults) }
}

function starterOf(isCluster: boolean, list: string | undefined) {
  if (isCluster) {
    const kinds = faultsOf(list, isClusterFaultKind) ?? ALL_CLUSTER_FAULTS
    return (folder: string, random: SeededRandom) => ClusterWorld.start(folder, random, { kinds })
  }
  const kinds = faultsOf(list, isFaultKind) ?? ALL_FAULTS
  return (folder: string, random: SeededRandom) => ChaosWorld.start(folder, random, kinds)
}

function faultsOf<Kind extends string>(
  list: string | undefined,
  isKind: (name: string) => name is Kind,
): readonly [Kind, ...Kind[]] | undefined {
  const [first, ...others] = (list?.split(',') ?? []).map((name) => {
    if (!isKind(name)) throw new Error(`There is no fault ${JSON.stringify(name)}`)
    return name
  })
  return first === undefined ? undefined : [first, ...others]
}

async function main(): Promise<number> {
  let options: ReturnType<typeof readOptions>
  try {
    options = readOptions()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    return 2
  }
  const { seed, rounds: wanted } = options
  print(`seed ${seed}`)
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  const beganAtMs = performance.now()
  const { rounds, failed, folder } = await runChaos({ ...options, report: print, signal: stop.signal })
  const seconds = ((performance.now() - beganAtMs) / 1_000).toFixed(0)
  print(`${rounds.length} of ${wanted} rounds in ${seconds} s, ${failed.length} failed, seed ${seed}`)
  if (folder !== undefined) print(`data, logs and all violations are kept in ${folder}`)
  return failed.length === 0 && rounds.length === wanted ? 0 : 1
}

// What a round that was broken off still waits for keeps nobody here.
process.exit(await main())
