import type { TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import {
  ConflateKey,
  ConnectionData,
  EventEnvelope,
  EventType,
  FilteredSend,
  HybridRequest,
  MAX_MERGE_SOURCES,
  MAX_TASK_RETRIES,
  MAX_TASK_TIMEOUT_MS,
  ManagedSend,
  ManagedStreamQuery,
  MergeRequest,
  Name,
  ParallelTasksRequest,
  Publish,
  RelayRequest,
  RunParams,
  StreamQuery,
  SubscriptionChange,
  TaskSpec,
  TestEvent,
} from './index.ts'

const url = 'http://127.0.0.1/'

function edges(name: string, schema: TSchema, taken: readonly unknown[], refused: readonly unknown[]): void {
  describe(name, () => {
    it.each(taken.map((value) => [value]))('takes %j', (value) => expect(Check(schema, value)).toBe(true))
    it.each(refused.map((value) => [value]))('refuses %j', (value) =>
      expect(Check(schema, value)).toBe(false),
    )
  })
}

edges(
  'EventType',
  EventType,
  ['a', 'task_complete', 'with space', 'ünï 🙂', 'x'.repeat(256)],
  ['', 'a\nb', 'a\rb', 'a\u0000b', '\n', 'a\n', 'x'.repeat(257), '\ud800', 'a\udc00b', 5, null],
)
edges(
  'Name',
  Name,
  ['a', 'ünï 🙂', '\ufffd', '\ud800\udc00', 'x'.repeat(128)],
  ['', 'a\nb', 'a\u007f', 'x'.repeat(129), '\ud800', '\udc00', 'a\ud83db', '\udc00\ud800', '🙂\ude42'],
)
edges('ConflateKey', ConflateKey, ['price:ACME', '🙂'], ['', 'price:\ud800', 'x'.repeat(257)])
edges(
  'TaskSpec',
  TaskSpec,
  [
    'handler',
    { url },
    {
      id: 't1',
      name: 'first',
      url,
      method: 'POST',
      headers: { a: 'b' },
      body: null,
      timeoutMs: 1,
      retries: 0,
    },
    { url, timeoutMs: MAX_TASK_TIMEOUT_MS, retries: MAX_TASK_RETRIES, idempotent: true },
    { name: 'handler', input: { any: ['thing'] }, id: 'x'.repeat(128), timeoutMs: 5, idempotent: false },
  ],
  [
    '',
    'a\nb',
    {},
    null,
    [],
    5,
    { id: 't1' },
    { url: '' },
    { url, id: '' },
    { url, id: 'x'.repeat(129) },
    { url, id: 'a\u0007' },
    { url, id: 'a\ud800' },
    { url, name: '\udc00' },
    { url, timeoutMs: 0 },
    { url, timeoutMs: MAX_TASK_TIMEOUT_MS + 1 },
    { url, timeoutMs: 1.5 },
    { url, retries: -1 },
    { url, retries: MAX_TASK_RETRIES + 1 },
    { url, method: 'get' },
    { url, method: 'CONNECT' },
    { url, headers: { a: 5 } },
    { url, input: 1 },
    { url, unknown: true },
    { name: 'handler', body: 'x' },
    { name: '' },
  ],
)
edges(
  'ParallelTasksRequest',
  ParallelTasksRequest,
  [
    { tasks: [] },
    { tasks: ['a'], concurrency: 1, failFast: true, deadlineMs: 86_400_000, maxResultBytes: 0 },
  ],
  [
    {},
    [],
    { tasks: 'a' },
    { tasks: [5] },
    { tasks: ['a'], concurrency: 0 },
    { tasks: ['a'], deadlineMs: 0 },
    { tasks: ['a'], maxResultBytes: 65_537 },
    { tasks: ['a'], more: 1 },
  ],
)
edges(
  'HybridRequest',
  HybridRequest,
  [{}, { localTasks: ['a'], remoteTasks: [{ url }] }],
  [{ tasks: ['a'] }, null],
)
edges(
  'MergeRequest',
  MergeRequest,
  [
    ['/a'],
    [{ endpoint: '/a' }, { name: 'b', endpoint: '/b' }],
    Array.from({ length: MAX_MERGE_SOURCES }, () => '/a'),
  ],
  [
    [],
    [''],
    ['/a', 5],
    {},
    [{ name: 'b' }],
    [{ endpoint: '/a', name: '' }],
    Array.from({ length: 33 }, () => '/a'),
  ],
)
edges(
  'RelayRequest',
  RelayRequest,
  [{ endpoint: '/a' }, { endpoint: url, method: 'POST', body: { a: 1 } }],
  [{}, { endpoint: '' }, { endpoint: '/a', method: 'TRACE' }, { endpoint: '/a', headers: {} }],
)
edges(
  'Publish',
  Publish,
  [
    { event: 'e' },
    { event: 'e', data: undefined },
    { event: 'e', data: null, userId: 'u', sessionId: 's', clientIds: ['c'], where: { a: 1, b: null } },
    { event: 'e', priority: 'critical', metadata: { correlationId: 'x' }, ephemeral: true, groups: ['g'] },
  ],
  [
    {},
    { data: 1 },
    { event: '' },
    { event: 'a\r\nb' },
    { event: 'e', userId: '' },
    { event: 'e', userId: 'a\nb' },
    { event: 'e', clientIds: [] },
    { event: 'e', clientIds: 'c' },
    { event: 'e', priority: 'urgent' },
    { event: 'e', where: { a: {} } },
    { event: 'e', ephemeral: 'yes' },
    { event: 'e', user: 'typo' },
  ],
)
edges(
  'ManagedSend',
  ManagedSend,
  [{}, { event: 'e' }, { data: 0 }, { event: 'e', data: [1], priority: 'low', ephemeral: false }],
  [null, 'text', [], { event: 'a\nb' }, { event: 'e', other: 1 }, { priority: 1 }],
)
edges(
  'FilteredSend',
  FilteredSend,
  [{ where: {} }, { where: { a: 'b' }, data: 1 }],
  [{}, { where: [] }, { where: { a: [1] } }],
)
edges(
  'TestEvent',
  TestEvent,
  [
    { type: 't', target: 'broadcast' },
    { type: 't', target: 'user', targetValue: 'u', message: 'm', data: {} },
  ],
  [
    { type: 't' },
    { target: 'user' },
    { type: 't', target: 'everyone' },
    { type: 't', target: 'user', targetValue: '' },
  ],
)
edges(
  'SubscriptionChange',
  SubscriptionChange,
  [{}, { join: ['a'], leave: [] }],
  [{ join: 'a' }, { join: [''] }, { add: ['a'] }],
)
edges(
  'StreamQuery',
  StreamQuery,
  [{}, { format: 'envelope', events: 'a,b', timeout: 1, lastEventId: '', since: '0', token: 't' }],
  [{ format: 'xml' }, { timeout: 0 }, { timeout: 1.5 }, { lastEventId: 'x'.repeat(1_025) }],
)
edges(
  'ManagedStreamQuery',
  ManagedStreamQuery,
  [{ groups: 'a,b', sessionId: 's' }],
  [{ sessionId: '' }, { sessionId: 's\n' }],
)
edges(
  'RunParams',
  RunParams,
  [{ runId: 'run_1-a' }],
  [{ runId: '' }, { runId: '../x' }, { runId: 'a.b' }, {}],
)
edges(
  'EventEnvelope',
  EventEnvelope,
  [{ id: null, type: 't', data: null, timestamp: 1, priority: 'normal', source: 's', version: '1' }],
  [{ id: '1-1', type: 't', timestamp: 1, priority: 'normal', source: 's', version: '1' }],
)
edges(
  'ConnectionData',
  ConnectionData,
  [{ status: 'connected', emitterId: 'c', clientId: 'c', resumed: false }],
  [{ status: 'open', emitterId: 'c', clientId: 'c', resumed: false }],
)
