/** `pnpm bench <name> [rounds]`: runs one benchmark. Each file beside this one that exports `run` is one. */
import { benchReconnect } from './reconnect.ts'
import { benchRelay } from './relay.ts'
import { benchRunLog } from './run-log.ts'
import { benchStore } from './store.ts'
import { benchWorker } from './worker.ts'

const BENCHMARKS: Readonly<Record<string, (rounds: number | undefined) => Promise<void>>> = {
  worker: benchWorker,
  relay: benchRelay,
  reconnect: benchReconnect,
  'run-log': benchRunLog,
  store: benchStore,
}

const [name = '', rounds] = process.argv.slice(2)
const bench = BENCHMARKS[name]
if (bench === undefined || (rounds !== undefined && !/^[1-9]\d*$/.test(rounds))) {
  process.stderr.write(`Usage: pnpm bench <${Object.keys(BENCHMARKS).join('|')}> [rounds]\n`)
  process.exit(1)
}
await bench(rounds === undefined ? undefined : Number(rounds))
