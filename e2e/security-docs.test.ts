import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { codeSpans, tables } from './markdown.ts'

const ROOT = resolve(import.meta.dirname, '..')
const [threats = []] = tables(readFileSync(join(ROOT, 'docs/SECURITY.md'), 'utf8'))
const [, ...rows] = threats

it.each(rows)('docs/SECURITY.md names tests that are there for: %s', (_threat, _measure, tests = '') => {
  const files = codeSpans(tests)
  expect(files).not.toHaveLength(0)
  for (const file of files) {
    expect(file).toMatch(/\.test\.ts$/)
    expect(existsSync(join(ROOT, file)), file).toBe(true)
  }
})
