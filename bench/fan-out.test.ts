import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { findCompiler } from './native-program.ts'

const ROOT = resolve(import.meta.dirname, '..')
const LIMIT_MS = 300_000

it.skipIf(findCompiler() === undefined)(
  'delivers every event of the short form, without a gross regression (needs a C compiler: gcc and libc6-dev)',
  { timeout: LIMIT_MS },
  async () => {
    const args = ['--conditions=@tributary/source', 'bench/run.ts', 'fan-out', '--short']
    // Its table and its complaints are shown as they are.
    const bench = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
    const [code] = await once(bench, 'exit')
    expect(code).toBe(0)
  },
)
