import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '..')
/** Of each property. All of them together then make over a million. */
const DEFAULT_RUNS = 15_000
/** How each test says at its end what it did; see `e2e/fuzz/fuzz.ts`. */
const PASSED = /✓.*\((\d+) cases from seed -?\d+\)/

const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } } })
const runs = values.runs ?? process.env.FUZZ_RUNS ?? String(DEFAULT_RUNS)
const seed = values.seed ?? process.env.FUZZ_SEED ?? String(Math.trunc(Math.random() * 2 ** 31))
console.log(
  `Fuzzing with ${runs} cases a property; to do the same again: pnpm fuzz --seed ${seed} --runs ${runs}`,
)

const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const child = spawn(
  process.execPath,
  [vitest, 'run', '--project', 'e2e', '--reporter=verbose', 'e2e/fuzz/'],
  {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', FUZZ_RUNS: runs, FUZZ_SEED: seed },
    stdio: ['ignore', 'pipe', 'inherit'],
  },
)
let cases = 0
createInterface({ input: child.stdout }).on('line', (line) => {
  console.log(line)
  cases += Number(PASSED.exec(line)?.[1] ?? 0)
})
const [code] = await once(child, 'close')
console.log(`${cases} cases held, from seed ${seed}`)
process.exitCode = code === 0 ? 0 : 1
