import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { codeSpans, tables } from './markdown.ts'

const ROOT = resolve(import.meta.dirname, '..')
const [threats = []] = tables(readFileSync(join(ROOT, 'docs/SECURITY.md'), 'utf8'))
const [, ...rows] = threats
const testsOf = ([, , tests = '']: readonly string[]) => codeSpans(tests)

it.each(rows)('docs/SECURITY.md names tests that are there for: %s', (...row) => {
  const files = testsOf(row)
  expect(files).not.toHaveLength(0)
  for (const file of files) {
    expect(file).toMatch(/\.test\.ts$/)
    expect(existsSync(join(ROOT, file)), file).toBe(true)
  }
})

it.each(globSync('e2e/{hostile,fuzz}/*.test.ts', { cwd: ROOT }))(
  'docs/SECURITY.md says which threat %s holds',
  (file) => {
    expect(rows.flatMap(testsOf)).toContain(file)
  },
)
