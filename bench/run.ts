/** `pnpm bench <name> [rounds] [options]`: runs one benchmark, as README.md says. */
import { benchCluster } from './cluster.ts'
import { benchConnect } from './connect.ts'
import { benchFanOut } from './fan-out.ts'
import { benchLatency } from './latency.ts'
import { benchMemory } from './memory.ts'
import { benchReconnect } from './reconnect.ts'
import { benchRelay } from './relay.ts'
import { benchRunLog } from './run-log.ts'
import { benchStore } from './store.ts'
import { benchTakeover } from './takeover.ts'
import { benchWorker } from './worker.ts'

type Benchmark = (args: readonly string[]) => Promise<void>

/** One that takes the number of rounds and nothing else. */
function inRounds(bench: (rounds: number | undefined) => Promise<void>): Benchmark {
  return ([rounds]) => bench(rounds === undefined ? undefined : Number(rounds))
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  'fan-out': benchFanOut,
  latency: benchLatency,
  memory: benchMemory,
  connect: benchConnect,
  worker: inRounds(benchWorker),
  relay: inRounds(benchRelay),
  reconnect: inRounds(benchReconnect),
  'run-log': inRounds(benchRunLog),
  store: inRounds(benchStore),
  cluster: benchCluster,
  takeover: benchTakeover,
}

const [name = '', ...args] = process.argv.slice(2)
const bench = BENCHMARKS[name]
// What comes first, where it is no option, is the number of rounds.
if (bench === undefined || (args[0] !== undefined && !/^([1-9]\d*|--.*)$/.test(args[0]))) {
  process.stderr.write(`Usage: pnpm bench <${Object.keys(BENCHMARKS).join('|')}> [rounds] [options]\n`)
  process.exit(1)
}
await bench(args)
