import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startGateway, startWorker } from './processes.ts'

type Env = Readonly<Record<string, string>>

const SECRET = 'a secret of thirty-two characters'
/** What no line may show, wherever it stands in a variable or a file. */
const HIDDEN = 'hidden-from-all'
const PRODUCTION = { NODE_ENV: 'production', AUTH_JWT_SECRET: SECRET }

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-faults-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

/** What a service writes that does not start, and how it ends. */
async function startOf(name: 'gateway' | 'worker', env: Env) {
  const main = fileURLToPath(new URL(`../apps/${name}/src/main.ts`, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@tributary/source', main], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code, out, err }
}

/** That it says one line and ends, with its store closed. */
async function expectRefused(name: 'gateway' | 'worker', env: Env, said: string): Promise<void> {
  const { code, out, err } = await startOf(name, env)
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(new RegExp(`^${name}: [^\\n]+\\n$`))
  expect(err).toContain(said)
  expect(err).not.toContain(HIDDEN)
  const left = await readdir(join(folder, '.data')).catch(() => [])
  expect(left.filter((file) => !file.endsWith('.db'))).toEqual([])
}

it.each<[variable: string, env: Env]>([
  ['AUTH_JWT_SECRET', { NODE_ENV: 'production' }],
  ['AUTH_STATIC_TOKENS', { ...PRODUCTION, AUTH_STATIC_TOKENS: `${HIDDEN}=ann` }],
  ['AUTH_STATIC_TOKENS', { AUTH_STATIC_TOKENS: HIDDEN }],
  ['AUTH_JWT_ALGORITHMS', { ...PRODUCTION, AUTH_JWT_ALGORITHMS: 'RS256' }],
  ['AUTH_JWKS_FILE', { AUTH_JWKS_FILE: '/nowhere/keys.json' }],
  ['AUTH_JWKS_URL', { AUTH_JWKS_URL: `https://user:${HIDDEN}@keys.example/` }],
  ['AUTH_JWKS_URL', { AUTH_JWKS_URL: `ftp://user:${HIDDEN}@keys.example/` }],
  ['CORS_ORIGINS', { CORS_ORIGINS: '*', CORS_CREDENTIALS: 'true' }],
  ['TRUSTED_PROXIES', { TRUSTED_PROXIES: '0.0.0.0/0' }],
  ['HEADERS_TIMEOUT_MS', { HEADERS_TIMEOUT_MS: '400000' }],
  ['SENSITIVE_HEADERS', { SENSITIVE_HEADERS: 'X-One; X-Two' }],
  ['OUTBOUND_ALLOW', { OUTBOUND_ALLOW: 'http://host/' }],
  ['HANDLERS_DIR', { HANDLERS_DIR: '/nowhere' }],
])('a gateway that is told what %s cannot be says so in a line, and leaves its store closed', (said, env) =>
  expectRefused('gateway', env, said),
)

it.each<[what: string, file: string]>([
  ['no JSON', `{"A": ${HIDDEN}`],
  ['nothing', ''],
  ['a secret without a host', `{"A": {"value": "${HIDDEN}", "hosts": []}}`],
  ['a host that is none', `{"A": {"value": "${HIDDEN}", "hosts": ["a b"]}}`],
  ['a name that is none', `{"a b": {"value": "${HIDDEN}", "hosts": ["api.example"]}}`],
  ['a secret that is too long', `{"A": {"value": "${HIDDEN.repeat(2_000)}", "hosts": ["api.example"]}}`],
])(
  'a worker whose file of secrets has %s says so in a line, and leaves its store closed',
  async (_, file) => {
    const path = join(folder, 'secrets.json')
    await writeFile(path, file)
    await expectRefused('worker', { TASK_SECRETS_FILE: path }, 'TASK_SECRETS_FILE: ')
  },
)

it.each([
  ['gateway', startGateway, PRODUCTION],
  ['worker', startWorker, { NODE_ENV: 'production', WORKER_SECRET: SECRET }],
] as const)('a %s that was refused for its variables starts with others', async (name, start, env) => {
  await expectRefused(name, { NODE_ENV: 'production' }, 'must be set where NODE_ENV is production')
  await using service = await start({ cwd: folder, env })
  expect((await fetch(`${service.url}/readyz`)).status).toBe(200)
})
