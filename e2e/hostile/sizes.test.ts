import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'

const MANAGED = '/api/sse/managed'
const BODY = 1_048_576
const EVENT = 131_072
const HEADERS = 32_768
const TASKS = 3
const PARALLEL_TASKS = '/api/sse-proxy/reactive/parallel-tasks/sse-emitter'

const hostile = inHostileWorld({
  gateway: { MAX_TASKS: String(TASKS) },
  worker: { MAX_TASKS: String(TASKS) },
})

const x = (length: number) => 'x'.repeat(length)
const list = <T>(length: number, item: (n: number) => T): T[] => Array.from({ length }, (_, n) => item(n))

type Refusal = readonly [status: number, code: string]
const INVALID: Refusal = [400, 'invalid_request']

/** What is allowed at a size, and refused at the next. @param of the case of a size. */
function bound(
  name: string,
  size: number,
  [status, code]: Refusal,
  of: (size: number) => Omit<HostileCase, 'name' | 'status'>,
  allowed = 200,
): HostileCase[] {
  return [
    { ...of(size), name: `${name}: ${size}`, status: allowed },
    { ...of(size + 1), name: `${name}: ${size + 1}`, status, code },
  ]
}

const send = (body: unknown): Omit<HostileCase, 'name' | 'status'> => ({
  as: 'publisher',
  path: `${MANAGED}/send/user/nobody`,
  body,
})
const run = (...tasks: unknown[]): Omit<HostileCase, 'name' | 'status'> => ({
  as: 'user',
  path: PARALLEL_TASKS,
  headers: { Accept: 'application/json' },
  body: { tasks },
})
const connect = (query: string): Omit<HostileCase, 'name' | 'status'> => ({
  as: 'user',
  path: `${MANAGED}/connect?${query}`,
})
const task = { url: 'http://192.0.2.1/' }

/** JSON with white space up to so many bytes. */
function padded(value: unknown, bytes: number): string {
  return JSON.stringify(value).padEnd(bytes, ' ')
}

/** Headers of so many bytes as Node counts them: the address, names and values. */
function headersOf(bytes: number): Omit<HostileCase, 'name' | 'status'> {
  const path = '/healthz'
  const lines = { Host: 'x', Connection: 'close', 'X-Fill': '' }
  const used = path.length + Object.entries(lines).flat().join('').length
  return { path, headers: { ...lines, 'X-Fill': x(bytes - used) } }
}

hostile('the size of', [
  ...bound('a body', BODY, [413, 'payload_too_large'], (size) => send(padded({ event: 'e', data: 1 }, size))),
  ...bound(
    'a body to a worker',
    BODY,
    [413, 'payload_too_large'],
    (size) => ({
      to: 'worker',
      as: 'user',
      path: '/api/sse/emitter/parallel-tasks',
      headers: { Accept: 'application/json' },
      body: padded({ tasks: [task] }, size),
    }),
    202,
  ),
  ...bound('an event', EVENT, [413, 'event_too_large'], (size) => send({ event: 'e', data: x(size - 2) })),
  ...bound('an event, of letters that take two bytes', EVENT / 2 - 1, [413, 'event_too_large'], (size) =>
    send({ event: 'e', data: 'é'.repeat(size) }),
  ),
  ...bound('headers', HEADERS - 1, [431, 'headers_too_large'], headersOf),
  ...bound('an address', HEADERS - 100, [414, 'uri_too_long'], (size) => ({
    path: `/healthz?${x(size - 9 + (size > HEADERS - 100 ? 100 : 0))}`,
  })),
  ...bound(
    'a part of the path',
    1_536,
    [414, 'uri_too_long'],
    (size) => ({
      as: 'admin',
      path: `${MANAGED}/status/group/${x(size)}`,
    }),
    400,
  ).map((one) => (one.status === 400 ? { ...one, code: 'invalid_request' } : one)),
  ...bound('the nesting of a body', 200, INVALID, (size) =>
    send(`{"event":"e","data":${'['.repeat(size - 1)}${']'.repeat(size - 1)}}`),
  ),
])

hostile('the length of', [
  ...bound("a group's name in the path", 128, INVALID, (size) => ({
    as: 'user',
    path: `${MANAGED}/connect/group/${x(size)}`,
  })),
  ...bound("a group's name in a list", 128, INVALID, (size) => connect(`groups=a,${x(size)}`)),
  ...bound(
    "a group's name, each letter of which takes nine characters in the path",
    128,
    INVALID,
    (size) => ({
      as: 'user',
      path: `${MANAGED}/connect/group/${encodeURIComponent('日').repeat(size)}`,
    }),
  ),
  ...bound('a list of groups', 1_000, INVALID, (size) =>
    connect(`groups=${list(size, (n) => `g${n}`).join()}`),
  ),
  ...bound('a list of groups, as text', 8_192, INVALID, (size) =>
    connect(
      `groups=${list(70, () => x(116))
        .join()
        .padEnd(size, ',')}`,
    ),
  ),
  ...bound('a session', 128, INVALID, (size) => connect(`sessionId=${x(size)}`)),
  ...bound('a list of event types', 4_096, INVALID, (size) => connect(`events=${x(size)}`)),
  ...bound('an event type', 256, INVALID, (size) => send({ event: x(size), data: 1 })),
  ...bound("a user's name", 128, INVALID, (size) => ({
    ...send({ event: 'e', data: 1 }),
    path: `${MANAGED}/send/user/${x(size)}`,
  })),
  ...bound('a list of readers', 10_000, INVALID, (size) => ({
    ...send({ event: 'e', data: 1, userIds: list(size, (n) => `u${n}`) }),
    path: '/api/sse',
  })),
  ...bound('an idempotency key', 256, INVALID, (size) => ({
    ...send({ event: 'e', data: 1 }),
    headers: { 'Idempotency-Key': x(size) },
  })),
  ...bound(
    'what a reader is told',
    512,
    INVALID,
    (size) => ({
      as: 'admin',
      method: 'POST',
      path: '/api/sse/health',
      body: { action: 'force_disconnect', connectionId: 'nobody', reason: x(size) },
    }),
    404,
  ).map((one) => (one.status === 404 ? { ...one, code: 'connection_not_found' } : one)),
])

hostile('of tasks', [
  ...bound('the number', TASKS, [422, 'too_many_tasks'], (size) => run(...list(size, () => task)), 202),
  ...bound('an id', 128, INVALID, (size) => run({ ...task, id: x(size) }), 202),
  ...bound('a name', 256, INVALID, (size) => run({ ...task, name: x(size) }), 202),
  ...bound('an address', 8_192, INVALID, (size) => run({ url: `http://192.0.2.1/${x(size - 17)}` }), 202),
  ...bound("a header's value", 16_384, INVALID, (size) => run({ ...task, headers: { 'X-A': x(size) } }), 202),
  ...bound('the retries', 10, INVALID, (size) => run({ ...task, retries: size }), 202),
  ...bound('the time', 600_000, INVALID, (size) => run({ ...task, timeoutMs: size }), 202),
])
