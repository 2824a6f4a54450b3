import { expect, it } from 'vitest'
import type { HostileCase } from './hostile-case.ts'
import { HostileWorld, inHostileWorld } from './hostile-world.ts'
import { LogLines } from './log-lines.ts'

const MANAGED = '/api/sse/managed'

const hostile = inHostileWorld()

hostile('who comes', [
  { name: 'without a token', path: '/api/sse', status: 401, code: 'unauthorized' },
  { name: 'without a token to a worker', to: 'worker', path: '/api/runs', status: 401, code: 'unauthorized' },
  { name: 'with a good token', as: 'user', path: '/api/sse', status: 200 },
  { name: 'with a good token to a worker', to: 'worker', as: 'user', path: '/api/runs', status: 200 },
])

const HARMLESS: HostileCase = { name: '', path: '/healthz', status: 200 }

it.each<[string, HostileCase, string]>([
  ['another status', { ...HARMLESS, status: 404 }, 'HTTP/1.1 200'],
  ['another code', { ...HARMLESS, path: '/none', status: 404, code: 'run_not_found' }, 'not_found'],
  [
    'that the stream was closed',
    { ...HARMLESS, as: 'admin', method: 'DELETE', path: `${MANAGED}/connections` },
    'delivered',
  ],
  [
    'an event that the stream should not get',
    { ...HARMLESS, as: 'publisher', path: `${MANAGED}/send/user/healthy`, body: { event: 'forged' } },
    "[ 'healthy', 1 ], …(3)",
  ],
])('notices %s', async (_name, one, said) => {
  await using world = await HostileWorld.start()
  await expect(world.hold(one)).rejects.toThrow(said)
})

it.each([
  ['a line that was split', '{"msg":"half\n"}\n'],
  ['a line that some readers split', '{"msg":"half\u2028"}\n'],
  ['what is no JSON', 'oh\n'],
  ['a token', '{"msg":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.0123456789abcdefghijklmnop"}\n'],
])('notices %s in the log', (_name, line) => {
  const log = new LogLines()
  log.write(line)
  expect(() => log.check()).toThrow()
})
