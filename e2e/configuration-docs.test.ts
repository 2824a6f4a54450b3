import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { GatewayConfigSchema } from '@tributary/gateway/config'
import { WorkerConfigSchema } from '@tributary/worker/config'
import { describe, expect, it } from 'vitest'
import { codeSpans, tables } from './markdown.ts'

const ROOT = resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

interface Variable {
  readonly type?: unknown
  readonly default?: unknown
  readonly description?: string
  readonly enum?: readonly unknown[]
}

const gateway: Readonly<Record<string, Variable>> = GatewayConfigSchema.properties
const worker: Readonly<Record<string, Variable>> = WorkerConfigSchema.properties
const all = { ...gateway, ...worker }

/** The row that a variable has by its schema. */
function row(name: string): string[] {
  const { description = '', enum: values, ...schema } = all[name] ?? {}
  const readers = name in gateway ? (name in worker ? 'both' : 'gateway') : 'worker'
  const oneOf = values === undefined ? '' : ` One of ${values.map((value) => `\`${value}\``).join(', ')}.`
  return [`\`${name}\``, shownDefault(schema.default), readers, description.replaceAll('|', '\\|') + oneOf]
}

function shownDefault(value: unknown): string {
  const text = [value ?? []].flat().join(',')
  return text === '' ? '' : `\`${text}\``
}

describe('docs/configuration.md', () => {
  const [variables = [], fromElsewhere = []] = tables(read('docs/configuration.md'))

  it('has every variable once, with its default, who reads it and what it is, and no other', () => {
    const [, ...rows] = variables
    expect(rows.toSorted()).toEqual(Object.keys(all).map(row).toSorted())
  })

  it('answers the settings of other systems with variables that there are', () => {
    const [, ...rows] = fromElsewhere
    const ours = rows.flatMap(([, cell = '']) => codeSpans(cell)).filter((span) => /^[A-Z_]+$/.test(span))
    expect(ours.length).toBeGreaterThan(10)
    expect(ours.filter((name) => !(name in all))).toEqual([])
  })
})

describe('the README’s configuration', () => {
  const [[, ...rows] = []] = tables(read('README.md'))

  it('has variables that there are, with their defaults', () => {
    expect(rows.length).toBeGreaterThan(5)
    for (const [names = '', defaults = ''] of rows) {
      const expected = codeSpans(names).map((name) => all[name] && shownDefault(all[name].default))
      // A default of several values is told in words.
      const isTold = defaults !== '' && codeSpans(defaults).length === 0
      expect([names, isTold ? '' : defaults]).toEqual([names, expected.join(', ')])
    }
  })
})

/** What the containers of others are told. */
const NOT_OURS = new Set(['REDIS_PASSWORD'])

describe.each([
  'README.md',
  'CONTRIBUTING.md',
  'docker-compose.yml',
  ...globSync(
    '{apps/*/Dockerfile,deploy/{*.conf,*.yml,Caddyfile,kubernetes/*},docs/!(configuration).md,examples/*/README.md}',
    { cwd: ROOT },
  ),
])('%s', (file) => {
  it('names no variable that nobody reads', () => {
    const text = read(file)
    const set = [...text.matchAll(/^\s+([A-Z][A-Z_]+): /gm), ...text.matchAll(/^ENV ([A-Z_]+)=/gm)].filter(
      ([, name = '']) => !NOT_OURS.has(name),
    )
    const named = codeSpans(text).filter((span) => /^[A-Z]+(_[A-Z]+)+$/.test(span))
    expect([...set.map(([, name = '']) => name), ...named].filter((name) => !(name in all))).toEqual([])
  })
})
