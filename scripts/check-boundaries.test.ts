import { spawnSync } from 'node:child_process'
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cruiseOptions } from './boundary-rules.ts'
import { checkBoundaries } from './check-boundaries.ts'

const ROOT = resolve(import.meta.dirname, '..')

interface Manifest {
  name: string
  exports?: Record<string, string | Record<string, string>>
}

/**
 * A small workspace with the real packages' manifests: their names, exports and conditions are what an import
 * is resolved by. Each export is an empty module, and eventlog imports protocol.
 */
function plantWorkspace(): string {
  const root = mkdtempSync(join(tmpdir(), 'tributary-boundaries-'))
  for (const file of globSync('{packages,apps}/*/package.json', { cwd: ROOT })) {
    const folder = dirname(file)
    mkdirSync(join(root, folder), { recursive: true })
    cpSync(join(ROOT, file), join(root, file))
    const { name, exports = {} }: Manifest = JSON.parse(readFileSync(join(root, file), 'utf8'))
    for (const target of Object.values(exports)) {
      const source = typeof target === 'string' ? target : target['@tributary/source']
      if (source) plant(root, { [join(folder, source)]: 'export {}\n' })
    }
    const link = join(root, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, folder), link)
  }
  plant(root, { 'packages/eventlog/src/index.ts': "export { Event } from '@tributary/protocol'\n" })
  return root
}

function plant(root: string, files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
}

const BROKEN: [rule: string, file: string, text: string][] = [
  ['protocol-imports', 'packages/protocol/src/a.ts', "import { x } from '@tributary/eventlog'"],
  ['protocol-imports', 'packages/protocol/src/a.ts', "import type { X } from '@tributary/eventlog'"],
  ['protocol-imports', 'packages/protocol/src/a.ts', "export type { X } from '@tributary/client'"],
  ['protocol-imports', 'packages/protocol/src/a.ts', "export const x = () => import('@tributary/client')"],
  ['eventlog-imports', 'packages/eventlog/src/a.ts', "import { x } from '@tributary/sse'"],
  ['outbound-imports', 'packages/outbound/src/a.ts', "import { x } from '@tributary/client'"],
  ['client-imports', 'packages/client/src/a.ts', "import { x } from '@tributary/eventlog'"],
  ['sse-imports', 'packages/sse/src/a.ts', "import { x } from '@tributary/hub'"],
  ['runs-imports', 'packages/runs/src/a.ts', "import { x } from '@tributary/sse'"],
  ['hub-imports', 'packages/hub/src/a.ts', "import { x } from '@tributary/runs'"],
  ['hub-imports', 'packages/hub/src/a.ts', "import { x } from '@tributary/gateway/app'"],
  ['backends-imports', 'packages/backends/src/a.ts', "import { x } from '@tributary/hub'"],
  ['service-imports', 'packages/service/src/a.ts', "import { x } from '@tributary/sse'"],
  ['testkit-imports', 'packages/testkit/src/a.ts', "import { x } from '@tributary/eventlog'"],
  ['unlisted-package', 'packages/newcomer/src/a.ts', "import { x } from '@tributary/protocol'"],
  ['no-io', 'packages/protocol/src/a.ts', "import { readFile } from 'node:fs/promises'"],
  ['testkit-in-tests-only', 'packages/hub/src/a.ts', "import { x } from '@tributary/testkit'"],
  ['source-imports-no-tests', 'packages/hub/src/a.ts', "import { x } from './a.test.ts'"],
  ['apps-apart', 'apps/gateway/src/a.ts', "import { x } from '@tributary/worker/app'"],
  ['by-name-only', 'packages/hub/src/a.ts', "import { x } from '../../sse/src/index.ts'"],
  ['by-name-only', 'packages/hub/src/a.test.ts', "import { x } from '../../protocol/src/index.ts'"],
  ['by-name-only', 'e2e/a.test.ts', "import { x } from '../apps/gateway/src/app.ts'"],
  ['relay-and-tasks-below-http', 'apps/gateway/src/relay/a.ts', "import { x } from '../http/routes.ts'"],
  ['relay-and-tasks-below-http', 'apps/worker/src/tasks/a.ts', "import type { X } from '../http/routes.ts'"],
  ['adapters-in-backends-only', 'apps/gateway/src/app.ts', "import { x } from '@tributary/eventlog/memory'"],
  ['redis-imports', 'packages/redis/src/a.ts', "import { x } from '@tributary/eventlog'"],
  ['redis-in-adapters-only', 'packages/hub/src/a.ts', "import { x } from '@tributary/redis'"],
  ['redis-in-adapters-only', 'apps/worker/src/tasks/a.ts', "import type { X } from '@tributary/redis'"],
  ['adapters-by-nobody-else', 'packages/hub/src/a.ts', "import { x } from '@tributary/eventlog/memory'"],
  ['resolvable', 'packages/hub/src/a.ts', "import { x } from '@tributary/sse/src/index.ts'"],
  ['resolvable', 'packages/hub/src/a.ts', "import { x } from './nowhere.ts'"],
]

const ALLOWED: [file: string, text: string][] = [
  ['apps/gateway/src/backends.ts', "import { x } from '@tributary/eventlog/memory'"],
  ['packages/backends/src/a.ts', "import { x } from '@tributary/eventlog/memory'"],
  ['packages/backends/src/b.ts', "import { x } from '@tributary/redis'"],
  ['apps/gateway/src/http/a.ts', "import { x } from '../relay/relay.ts'"],
  ['packages/hub/src/a.test.ts', "import { x } from '@tributary/eventlog/memory'"],
  ['packages/hub/test/a.test.ts', "import { x } from '@tributary/testkit'"],
  ['apps/gateway/test/a.test.ts', "import { x } from '@tributary/worker/app'"],
  ['examples/one/main.ts', "import { x } from '@tributary/eventlog/memory'"],
]

describe('the boundary check', () => {
  let root: string
  beforeEach(() => {
    root = plantWorkspace()
    plant(root, {
      'apps/gateway/src/http/routes.ts': 'export {}\n',
      'apps/gateway/src/relay/relay.ts': 'export {}\n',
      'apps/worker/src/http/routes.ts': 'export {}\n',
      'packages/hub/src/a.test.ts': 'export {}\n',
    })
  })
  afterEach(() => rmSync(root, { recursive: true }))

  test('passes a workspace that keeps the rules', async () => {
    plant(root, Object.fromEntries(ALLOWED.map(([file, text]) => [file, `${text}\n`])))
    expect(await checkBoundaries(root)).toMatchObject({ problems: [] })
  })

  test.each(BROKEN)('fails on %s: %s, %s', async (rule, file, text) => {
    plant(root, { [file]: `${text}\n` })
    const { problems } = await checkBoundaries(root)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`${rule}: ${file}`)
  })

  test('fails on a circle, of types too', async () => {
    plant(root, {
      'packages/hub/src/a.ts': "import { b } from './b.ts'\n",
      'packages/hub/src/b.ts': "import { c } from './c.ts'\n",
      'packages/hub/src/c.ts': "import type { a } from './a.ts'\n",
    })
    const { problems } = await checkBoundaries(root)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^no-circles: packages\/hub\/src\/[abc]\.ts → .* → .* → /)
  })

  test('fails when nothing was checked', async () => {
    const empty = join(root, 'empty')
    mkdirSync(empty)
    expect((await checkBoundaries(empty)).problems).toEqual(['nothing was checked: no source folder'])
    mkdirSync(join(empty, 'packages'))
    expect((await checkBoundaries(empty)).problems).toContain('nothing was checked: no source file')
  })

  test('fails when a file or an import on disk was not looked at', async () => {
    plant(root, { 'packages/hub/src/a.ts': "import type { Event } from '@tributary/protocol'\n" })
    const typesUnseen = await checkBoundaries(root, {
      ...cruiseOptions,
      parser: 'acorn',
      tsPreCompilationDeps: false,
    })
    expect(typesUnseen.problems).toContain("not checked: '@tributary/protocol' in packages/hub/src/a.ts")
    const fileUnseen = await checkBoundaries(root, {
      ...cruiseOptions,
      exclude: { path: 'node_modules|hub/src/a\\.ts' },
    })
    expect(fileUnseen.problems).toEqual(['not checked: packages/hub/src/a.ts'])
  })

  test('fails when no import between packages was seen', async () => {
    plant(root, { 'packages/eventlog/src/index.ts': 'export {}\n' })
    const { problems } = await checkBoundaries(root)
    expect(problems).toEqual(['nothing was checked: not one import between packages was seen'])
  })

  test.each([
    "export type A = import('@tributary/hub').Hub",
    "export async function a() {\n  await using b = await import('@tributary/hub')\n}",
  ])('sees through %j', async (text) => {
    plant(root, { 'packages/protocol/src/a.ts': `${text}\n` })
    const { problems } = await checkBoundaries(root)
    expect(problems.join()).toContain('protocol-imports: packages/protocol/src/a.ts')
  })

  test('fails as a command, and names the rule', () => {
    plant(root, { 'packages/protocol/src/a.ts': "import { x } from '@tributary/eventlog'\n" })
    const script = join(import.meta.dirname, 'check-boundaries.ts')
    const { status, stderr } = spawnSync(process.execPath, [script, root], { encoding: 'utf8' })
    expect(stderr).toContain('protocol-imports')
    expect(status).toBe(1)
  })
})

describe('the lint rules for the environment', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tributary-lint-'))
    for (const file of ['biome.json', '.gitignore']) cpSync(join(ROOT, file), join(root, file))
  })
  afterEach(() => rmSync(root, { recursive: true }))

  test.each([
    'export const port = process.env.GATEWAY_PORT\n',
    "import { env } from 'node:process'\n\nexport const port = env.GATEWAY_PORT\n",
    "import process from 'node:process'\n\nexport const port = process.env.GATEWAY_PORT\n",
  ])('let only config.ts read it: %j', (text) => {
    plant(root, { 'apps/gateway/src/http/a.ts': text, 'apps/gateway/src/config.ts': text })
    const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome')
    const lint = (file: string) =>
      spawnSync(process.execPath, [biome, 'lint', '--error-on-warnings', file], {
        cwd: root,
        encoding: 'utf8',
      })
    const refused = lint('apps/gateway/src/http/a.ts')
    expect(refused.stderr).toMatch(/noProcessEnv|noRestrictedImports/)
    expect(refused.status).toBe(1)
    expect(lint('apps/gateway/src/config.ts')).toMatchObject({ status: 0 })
  })
})
