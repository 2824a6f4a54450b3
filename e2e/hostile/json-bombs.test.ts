import { expect, it } from 'vitest'
import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'

const MANAGED = '/api/sse/managed'
const SEND = `${MANAGED}/send/user/nobody`
const PARALLEL_TASKS = '/api/sse-proxy/reactive/parallel-tasks/sse-emitter'

const hostile = inHostileWorld()

const INVALID = { status: 400, code: 'invalid_request' } as const
const publish = (name: string, body: string, answer: Pick<HostileCase, 'status' | 'code'>): HostileCase => ({
  name,
  as: 'publisher',
  path: SEND,
  body,
  ...answer,
})
const nested = (open: string, close: string, levels: number, inner = '') =>
  `{"event":"e","data":${open.repeat(levels)}${inner}${close.repeat(levels)}}`

hostile('a JSON bomb', [
  publish('ten thousand arrays deep', nested('[', ']', 10_000), INVALID),
  publish('half a million arrays deep', nested('[', ']', 500_000), INVALID),
  publish('a hundred thousand objects deep', nested('{"a":', '}', 100_000, '1'), INVALID),
  publish('half a million arrays that are not closed', `{"data":${'['.repeat(500_000)}`, {
    status: 400,
    code: 'invalid_json',
  }),
  publish('a hundred thousand keys', `{${Array.from({ length: 80_000 }, (_, n) => `"k${n}":1`).join()}}`, {
    status: 413,
    code: 'event_too_large',
  }),
  publish('a million elements', `[${'1,'.repeat(500_000)}1]`, { status: 413, code: 'event_too_large' }),
  publish('a number of a million digits', `{"data":${'9'.repeat(1_000_000)}}`, { status: 200 }),
  publish('a string of escapes', `{"data":"${'\\u0000'.repeat(150_000)}"}`, {
    status: 413,
    code: 'event_too_large',
  }),
  publish('more than there may be', `"${'x'.repeat(1_100_000)}"`, { status: 413, code: 'payload_too_large' }),
  {
    ...publish('said to be compressed', '{}', { status: 415, code: 'unsupported_media_type' }),
    headers: { 'Content-Encoding': 'gzip' },
  },
  {
    name: 'a thousand tasks and one',
    as: 'user',
    path: PARALLEL_TASKS,
    body: { tasks: Array.from({ length: 1_001 }, () => 'x') },
    status: 422,
    code: 'too_many_tasks',
  },
])

hostile('a key of the prototype', [
  publish('__proto__', '{"__proto__":{"admin":true}}', INVALID),
  publish('__proto__ in data', '{"event":"e","data":{"a":[{"__proto__":{}}]}}', INVALID),
  publish('__proto__ in escapes', '{"\\u005f\\u005fproto\\u005f\\u005f":{"admin":true}}', INVALID),
  publish('constructor.prototype', '{"data":{"constructor":{"prototype":{"admin":true}}}}', INVALID),
  publish('a mere constructor', '{"data":{"constructor":"Volvo"}}', { status: 200 }),
  {
    name: '__proto__ among the headers of a task',
    as: 'user',
    path: PARALLEL_TASKS,
    body: '{"tasks":[{"url":"http://192.0.2.1/","headers":{"__proto__":{"x":"1"}}}]}',
    ...INVALID,
  },
  { name: '__proto__ in the query', as: 'user', path: '/api/runs?__proto__[admin]=1', status: 200 },
  { name: 'a group called __proto__', as: 'user', path: `${MANAGED}/connect/group/__proto__`, status: 200 },
  {
    name: 'a user called constructor',
    as: 'publisher',
    path: `${MANAGED}/send/user/constructor`,
    body: { data: 1 },
    status: 200,
  },
  {
    name: 'a run called __proto__',
    as: 'user',
    path: '/api/runs/__proto__',
    status: 404,
    code: 'run_not_found',
  },
])

it('leaves the prototype of all objects alone', () => {
  expect(Reflect.get({}, 'admin')).toBeUndefined()
})
