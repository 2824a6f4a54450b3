import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

/** The steps of `pnpm check`. */
const CHECKS = ['format', 'lint', 'types', 'boundaries', 'dead-code']
const root = resolve(import.meta.dirname, '..')

interface Tally {
  passed: number
  failed: number
  skipped: number
}

/** What vitest's JSON reporter writes, as far as it is read here. */
interface TestReport {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: { name: string; status: string; message: string; assertionResults: unknown[] }[]
}

/** Runs a tool of node_modules under this Node, its output shown; returns whether it ended well. */
async function run(tool: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<boolean> {
  const child = spawn(process.execPath, [join(root, 'node_modules', tool), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: 'inherit',
  })
  const [code] = await once(child, 'exit')
  return code === 0
}

async function check(): Promise<Tally> {
  // Turbo runs scripts through `pnpm`, and those find Node 24 as `node`.
  const PATH = [join(root, 'scripts/bin'), join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter)
  const env = { PATH, TURBO_TELEMETRY_DISABLED: '1' }
  const failed: string[] = []
  for (const step of CHECKS) {
    console.log(`\n— ${step}`)
    const ok = await run(
      'turbo/bin/turbo',
      ['run', step, '--output-logs=errors-only', '--log-order=grouped'],
      env,
    )
    if (!ok) failed.push(step)
  }
  if (failed.length > 0) console.log(`\nFailed checks: ${failed.join(', ')}`)
  return { passed: CHECKS.length - failed.length, failed: failed.length, skipped: 0 }
}

async function test(filters: string[]): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-test-'))
  const file = join(folder, 'report.json')
  try {
    const ok = await run('vitest/vitest.mjs', [
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
      ...filters,
    ])
    const tally = existsSync(file)
      ? count(JSON.parse(readFileSync(file, 'utf8')))
      : { passed: 0, failed: 0, skipped: 0 }
    // Ended badly without a failed test: vitest itself broke, or an error came outside of any test.
    return ok || tally.failed > 0 ? tally : { ...tally, failed: 1 }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function count(report: TestReport): Tally {
  // A file that did not load has no tests to fail, and counts as one.
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

// Whoever started this is gone: end the whole process group.
process.on('disconnect', () => process.kill(0, 'SIGTERM'))

const filters = process.argv.slice(2)
const checked = await check()
const tested = await test(filters)
const passed = checked.passed + tested.passed
let failed = checked.failed + tested.failed
let skipped = tested.skipped
if (process.env.CI && skipped > 0) {
  console.log(`\nNothing may be skipped under CI: ${skipped} skipped tests count as failed.`)
  failed += skipped
  skipped = 0
}
if (tested.passed + tested.failed === 0 && filters.length === 0) failed += 1
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exit(failed > 0 ? 1 : 0)
