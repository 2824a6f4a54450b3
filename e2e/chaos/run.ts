/** `pnpm chaos [--rounds N] [--seed S]`: kills, stops and cuts a gateway and a worker under load, and compares. */
import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { type FaultKind, isFaultKind } from './fault.ts'

const USAGE = `Usage: pnpm chaos [--rounds N] [--seed S] [--faults kind,kind] [--keep-going]

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
      faults: { type: 'string' },
      'keep-going': { type: 'boolean', default: false },
    },
  })
  const [rounds, seed] = [Number(values.rounds), Number(values.seed)]
  if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed)) throw new Error('Numbers are whole')
  return { rounds, seed, faults: faultsOf(values.faults), keepGoing: values['keep-going'] }
}

function faultsOf(list: string | undefined): readonly [FaultKind, ...FaultKind[]] | undefined {
  const [first, ...others] = (list?.split(',') ?? []).map((name) => {
    if (!isFaultKind(name)) throw new Error(`There is no fault ${JSON.stringify(name)}`)
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
