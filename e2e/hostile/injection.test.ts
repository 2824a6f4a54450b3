import { EventCollector } from '@tributary/testkit'
import { expect } from 'vitest'
import type { Answer } from './answer.ts'
import type { Attacked, HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { forge, tokenOf } from './tokens.ts'

const MANAGED = '/api/sse/managed'
const MERGE = '/api/sse-proxy/merge-streams/sse-emitter'
const HYBRID = '/api/sse-integration/hybrid-execution/sse-emitter'

const hostile = inHostileWorld()

/** What would end a line or a frame, and begin another of the attacker's own. */
const BREAKS = {
  'CR LF': 'a\r\nevent: evil\r\nid: evil\r\n\r\n',
  LF: 'a\nevent: evil\nid: evil\n\n',
  CR: 'a\revent: evil\rid: evil\r\r',
  NUL: 'a\0event: evil',
}
/** What is no Unicode at all: UTF-8 has one word for all of them, so that two names would be the same. */
const HALVES = {
  'half a letter': 'a\ud800event: evil',
  'the other half': '\udc00event: evil',
}
/** What no name may hold. */
const UNNAMED = { ...BREAKS, ...HALVES }
/** What some readers take for a line's end, and what may stand in data but not in a name. */
const ODD = {
  ...UNNAMED,
  'a line separator': 'a\u2028event: evil',
  'a paragraph separator': 'a\u2029event: evil',
  'a next line': 'a\u0085event: evil',
  'a mark of direction': 'a\u202eevent: evil',
  'a byte order mark': '\ufeffevent: evil',
}
const rows = (values: object): [string, string][] => Object.entries(values)

type Expected = { readonly status: number; readonly code?: string }
const refused: Expected = { status: 400, code: 'invalid_request' }
const accepted: Expected = { status: 200 }

const post = (name: string, path: string, body: unknown, expected = refused): HostileCase => ({
  name,
  as: 'admin',
  path,
  body,
  ...expected,
})
const atWorker = (name: string, tasks: unknown[]): HostileCase => ({
  ...post(name, '/api/sse/emitter/parallel-tasks', { tasks }),
  to: 'worker',
})

hostile(
  'the type of an event',
  rows(UNNAMED).flatMap(([name, event]) => [
    post(`${name} to a user`, `${MANAGED}/send/user/user`, { event }),
    post(`${name} to a group`, `${MANAGED}/broadcast/group/g`, { event }),
    post(`${name} to all`, `${MANAGED}/broadcast`, { event }),
    post(`${name} to who matches`, `${MANAGED}/send/filtered`, { event, where: { a: 1 } }),
    post(`${name} to an audience`, '/api/sse', { event }),
    post(`${name} as a test`, '/api/realtime/test', { type: event, target: 'broadcast' }),
  ]),
)

hostile(
  'a name in a body',
  rows(UNNAMED).flatMap(([name, value]) => [
    ...['userId', 'sessionId'].map((key) =>
      post(`${name} in ${key}`, '/api/sse', { event: 'x', [key]: value }),
    ),
    ...['userIds', 'groups', 'roles', 'clientIds'].map((key) =>
      post(`${name} in ${key}`, '/api/sse', { event: 'x', [key]: [value] }),
    ),
    post(`${name} in whose tokens count no more`, '/api/auth/revocations', { userId: value }),
    post(`${name} in targetValue`, '/api/realtime/test', { type: 'x', target: 'user', targetValue: value }),
    atWorker(`${name} in a task's id`, [{ id: value, url: 'http://192.0.2.1/' }]),
    atWorker(`${name} in a task's name`, [{ name: value, url: 'http://192.0.2.1/' }]),
    atWorker(`${name} in a handler's name`, [value]),
    post(`${name} in a local task`, HYBRID, { localTasks: [{ name: value }] }),
    post(`${name} in a remote task`, HYBRID, { remoteTasks: [{ id: value, name: 'x' }] }),
    post(`${name} in a source's name`, MERGE, [{ name: value, endpoint: '/api/sse/flow-example' }]),
  ]),
)

const asks = (name: string, path: string, code = 'invalid_request'): HostileCase => ({
  name,
  as: 'admin',
  path,
  status: 400,
  code,
})

hostile(
  'a name in an address',
  rows(BREAKS).flatMap(([name, value]) => {
    const text = encodeURIComponent(value)
    return [
      asks(`${name} in a group to join`, `${MANAGED}/connect/group/${text}`),
      asks(`${name} in a list of groups`, `${MANAGED}/connect?groups=a,b${text}c`),
      asks(`${name} in a session`, `${MANAGED}/connect?sessionId=${text}`),
      asks(`${name} in a cursor`, `${MANAGED}/connect?lastEventId=${text}`, 'invalid_cursor'),
      asks(`${name} in a time`, `${MANAGED}/connect?since=${text}`, 'invalid_cursor'),
      asks(`${name} in a user's status`, `${MANAGED}/status/user/${text}`),
      asks(`${name} in a group's status`, `${MANAGED}/status/group/${text}`),
      asks(`${name} in a connection`, `${MANAGED}/connections/${text}`),
      asks(`${name} in a run`, `/api/runs/${text}`),
      asks(`${name} in a run's events`, `/api/runs/${text}/events`),
      { ...asks(`${name} in a run of a worker`, `/api/runs/${text}`), to: 'worker' as const },
      post(`${name} in a user to send to`, `${MANAGED}/send/user/${text}`, { event: 'x' }),
      post(`${name} in a group to send to`, `${MANAGED}/broadcast/group/${text}`, { event: 'x' }),
    ]
  }),
)

const headed = (name: string, header: string, value: string, status: number, code?: string): HostileCase => ({
  name: `${header}: ${name}`,
  as: 'admin',
  path: `${MANAGED}/send/user/user`,
  headers: { [header]: value },
  body: { event: 'x' },
  status,
  ...(code === undefined ? {} : { code }),
})

hostile('a header', [
  ...['X-Forwarded-For', 'User-Agent', 'Origin', 'Referer', 'X-Request-Id', 'Accept', 'Traceparent'].flatMap(
    (header) => [
      headed('NUL', header, 'a\0b', 400, 'invalid_request'),
      headed('a bare CR', header, 'a\rX-Evil: 1', 400, 'invalid_request'),
      headed('a next line', header, 'a\u0085b', 200),
      headed('a line separator', header, 'a\u2028{"level":60,"msg":"evil"}', 200),
      headed('JSON', header, '"},{"level":60,"msg":"evil"}', 200),
    ],
  ),
  ...rows({ ...ODD, 'a tab': 'a\tb', 'a letter': 'ä', nothing: '' })
    .filter(([, value]) => !/[\r\n\0]/.test(value))
    .map(([name, value]) => headed(name, 'Idempotency-Key', value, 400, 'invalid_request')),
  headed('257 characters', 'Idempotency-Key', 'k'.repeat(257), 400, 'invalid_request'),
  ...['evil', '1-1\u2028', '1-1, 2-2', '-1', '1e3', '0x10', '1-1.1', '٣-١', ' 1 - 1 '].map((value) => ({
    name: `Last-Event-ID: ${JSON.stringify(value)}`,
    as: 'user' as const,
    path: `${MANAGED}/connect`,
    headers: { 'Last-Event-ID': value },
    status: 400,
    code: 'invalid_cursor',
  })),
])

const MINE = { event: 'x', userIds: ['user'] }

/** All that a reader gets who reads from the oldest on, in both forms, holds nothing that forges a field. */
async function holdsNoForgery(_answer: Answer, { gateway }: Attacked): Promise<void> {
  for (const form of ['payload', 'envelope']) {
    await using reader = await EventCollector.open(
      `${gateway.url}${MANAGED}/connect?since=0&format=${form}&token=${tokenOf('user')}`,
    )
    await reader.waitFor('connection')
    await gateway.deps.hub.sendToUser('user', 'last', form)
    await reader.waitFor(({ type, raw }) => type === 'last' && raw.includes(form))
    const forged = ({ id, type, data }: { id?: string; type: string; data: unknown }) =>
      id?.includes('evil') === true || type === 'evil' || typeof data === 'string'
    expect(reader.events.filter(({ type }) => type !== 'last').filter(forged)).toEqual([])
    expect(reader.retries.filter((ms) => ms === 1)).toEqual([])
  }
}

hostile(
  'an event of anything',
  rows(ODD).flatMap(([name, value]) => [
    post(`${name} in its data`, '/api/sse', { ...MINE, data: [value] }, accepted),
    post(`${name} in a key of its data`, '/api/sse', { ...MINE, data: { [value]: 1 } }, accepted),
    post(`${name} in its metadata`, '/api/sse', { ...MINE, data: {}, metadata: { a: value } }, accepted),
    post(
      `${name} in a key of its metadata`,
      '/api/sse',
      { ...MINE, data: {}, metadata: { [value]: 1 } },
      accepted,
    ),
    post(
      `${name} in its correlation`,
      '/api/sse',
      { ...MINE, data: {}, metadata: { correlationId: value } },
      accepted,
    ),
    post(
      `${name} in what it is the latest of`,
      '/api/sse',
      { ...MINE, data: {}, conflate: value },
      value.isWellFormed() ? accepted : refused,
    ),
    post(`${name} in where`, '/api/sse', { ...MINE, data: {}, where: { [value]: value } }, accepted),
  ]),
  holdsNoForgery,
)

hostile(
  'a publisher named with',
  rows(ODD)
    .filter(([, value]) => !/[\r\n\0]/.test(value))
    .map(([name, sub]) => ({
      name,
      path: '/api/sse',
      headers: { authorization: `Bearer ${forge({ claims: { sub, roles: ['publisher'] } })}` },
      body: { ...MINE, data: {} },
      ...(sub.isWellFormed() ? accepted : { status: 401, code: 'token_invalid' }),
    })),
  holdsNoForgery,
)

hostile(
  'a reason to close a connection with',
  rows(ODD).map(([name, value]) => ({
    name,
    as: 'admin' as const,
    method: 'DELETE',
    path: `${MANAGED}/connections/none?reason=${value.isWellFormed() ? encodeURIComponent(value) : '%ed%a0%80'}`,
    status: 404,
    code: 'connection_not_found',
  })),
)
