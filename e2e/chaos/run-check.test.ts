import { describe, expect, it } from 'vitest'
import type { CallRecord, RunEventRecord, RunRecord, SourceRecord } from './ledger.ts'
import { checkCalls, checkRun } from './run-check.ts'

type Told = readonly [type: string, data: unknown]

const numbered = (told: readonly Told[]): RunEventRecord[] =>
  told.map(([type, data], index) => ({
    id: `run_1.1700000000000-${index + 1}`,
    type,
    data: JSON.stringify(data),
  }))

const reading = (reader: string, events: readonly RunEventRecord[]) => ({ reader, events, gaps: [] })

/** A run of which two readers have these events. */
function runOf(told: readonly Told[], given: Partial<RunRecord> = {}): RunRecord {
  const events = numbered(told)
  return {
    key: 'key',
    kind: 'parallel',
    runIds: new Set(['run_1']),
    taskIds: ['a', 'b'],
    mustSucceed: ['a'],
    sources: [],
    readings: [reading('one', events), reading('other', events)],
    resultSeenAtMs: new Map(),
    status: 'partial',
    isCancelAsked: false,
    isCancelled: false,
    callsEndedAtMs: undefined,
    ...given,
  }
}

const startA: Told = ['task_start', { taskId: 'a' }]
const doneA: Told = ['task_complete', { taskId: 'a', result: 1 }]
const startB: Told = ['task_start', { taskId: 'b' }]
const failedB: Told = ['task_error', { taskId: 'b', code: 'http_4xx' }]
const summary: Told = ['aggregated_result', {}]
const complete: Told = ['complete', { status: 'partial', totalTasks: 2, successCount: 1, errorCount: 1 }]
const good = [startA, startB, doneA, failedB, summary, complete]

describe('the check of a run', () => {
  it('passes one whose readers got the same, to its one end', () => {
    expect(checkRun(runOf(good))).toEqual([])
  })

  it('passes what the store lost and stored again at another time, and only where it may have lost something', () => {
    const again = numbered(good).map((event) => ({ ...event, id: event.id.replace('1700', '1701') }))
    const run = runOf(good, { readings: [reading('one', numbered(good)), reading('other', again)] })
    expect(checkRun(run, { losing: true })).toEqual([])
    expect(checkRun(run)).toEqual([expect.stringContaining('one and other differ at number 1')])
  })

  it('passes an end that was lost with its node for who read it and left, and only there', () => {
    const failed: Told[] = [['task_error', { taskId: 'b', code: 'worker_lost' }], summary, complete]
    const [first, again] = [numbered(good), numbered([startA, startB, doneA, ...failed])]
    const readings = [
      reading('one', first),
      reading('other', again),
      { ...reading('late', again), isLate: true },
    ]
    const run = runOf(good, { readings })
    const how = { losing: true, orphaning: true }
    expect(checkRun(run, how)).toEqual([])
    const differs = [expect.stringContaining('late and one differ at number 4')]
    expect(checkRun(run, { losing: true })).toEqual(differs)
    const lateToo = readings.with(0, { ...reading('one', first), isLate: true })
    expect(checkRun({ ...run, readings: lateToo }, how)).toEqual(differs)
    const cut = readings.with(0, reading('one', first.slice(0, -1)))
    expect(checkRun({ ...run, readings: cut }, how)).toContainEqual(
      expect.stringContaining('it has 0 complete events'),
    )
  })

  it('passes a page that knows of the end late, and only where the store may have lost something', () => {
    const run = runOf(good, { statusBefore: 'running' })
    expect(checkRun(run, { losing: true })).toEqual([])
    expect(checkRun(run)).toEqual([expect.stringContaining('its page said running when its end had been')])
  })

  it('passes a task whose worker was lost, and only where the store may have lost something', () => {
    const lostA: Told = ['task_error', { taskId: 'a', code: 'worker_lost' }]
    const failed: Told = ['complete', { status: 'failed', totalTasks: 2, successCount: 0, errorCount: 2 }]
    const run = runOf([startA, startB, lostA, failedB, summary, failed], { status: 'failed' })
    expect(checkRun(run, { losing: true })).toEqual([])
    expect(checkRun(run)).toEqual([expect.stringContaining('task a, which may be called again, has')])
  })

  it.each<[string, Told[], string]>([
    ['two completes', [...good, complete], 'it has 2 complete events'],
    ['no complete', good.slice(0, -1), 'it has 0 complete events'],
    ['an event after the complete', [...good, startA], 'its last event is run_1.1700000000000-7 task_start'],
    ['two summaries', [startA, startB, doneA, failedB, summary, summary, complete], 'it has 2 aggregated'],
    [
      'a task with two final events',
      [startA, startB, doneA, doneA, failedB, complete],
      'task a has run_1.1700000000000-4 task_complete',
    ],
    [
      'a task that starts again after its end',
      [startA, startB, doneA, startA, failedB, complete],
      'task a has run_1.1700000000000-4 task_start',
    ],
    ['a task without an end', [startA, startB, doneA, complete], 'task b has no final event'],
    [
      'a task that nobody asked for',
      [startA, startB, doneA, failedB, ['task_error', { taskId: 'c' }], complete],
      'there is no task c',
    ],
    [
      'a complete that counts wrongly',
      [
        startA,
        startB,
        doneA,
        failedB,
        ['complete', { status: 'partial', totalTasks: 2, successCount: 2, errorCount: 0 }],
      ],
      'its complete counts 2/2/0, its tasks are 2/1/1',
    ],
  ])('finds %s', (_, told, violation) => {
    expect(checkRun(runOf(told))).toContainEqual(expect.stringContaining(violation))
  })

  it.each<[string, Partial<RunRecord>, string]>([
    ['a start that was answered with two runs', { runIds: new Set(['run_1', 'run_2']) }, 'with 2 runs'],
    ['a run that nobody read', { readings: [] }, 'nobody read it'],
    ['a page that says something else', { status: 'running' }, 'its complete says partial, its page running'],
  ])('finds %s', (_, given, violation) => {
    expect(checkRun(runOf(good, given))).toContainEqual(expect.stringContaining(violation))
  })

  it('finds a failed task that could have been called again, unless its run was cancelled', () => {
    expect(checkRun(runOf(good, { mustSucceed: ['a', 'b'] }))).toContainEqual(
      expect.stringContaining('task b, which may be called again, has run_1.1700000000000-4 task_error'),
    )
    expect(checkRun(runOf(good, { mustSucceed: ['a', 'b'], isCancelAsked: true }))).toEqual([])
  })

  it('finds a cancel of nobody, and one that came to nothing', () => {
    const cancelled = good.with(-1, [
      'complete',
      { status: 'cancelled', totalTasks: 2, successCount: 1, errorCount: 1 },
    ])
    expect(checkRun(runOf(cancelled, { status: 'cancelled', isCancelAsked: true }))).toEqual([])
    expect(checkRun(runOf(cancelled, { status: 'cancelled' }))).toContainEqual(
      expect.stringContaining('it is cancelled, and nobody asked'),
    )
    expect(checkRun(runOf(good, { isCancelAsked: true, isCancelled: true }))).toContainEqual(
      expect.stringContaining('it was answered that it is cancelled, and its complete says partial'),
    )
  })

  it.each<[string, (events: RunEventRecord[]) => RunEventRecord[], string]>([
    ['lost an event', (events) => events.toSpliced(2, 1), 'other has run_1.1700000000000-4 (task_error)'],
    ['got one twice', (events) => events.toSpliced(2, 0, ...events.slice(2, 3)), 'other has run_1.17'],
    [
      'got two the other way round',
      (events) => [...events.slice(0, 2).toReversed(), ...events.slice(2)],
      'other has run_1.1700000000000-2 (task_start) in place of number 1',
    ],
    [
      'got other data',
      (events) => events.map((event, index) => (index === 3 ? { ...event, data: '{"taskId":"b"}' } : event)),
      'one and other differ at number 4',
    ],
    ['stopped early', (events) => events.slice(0, 4), 'one and other differ at number 5'],
    ['got one more', (events) => [...events, ...numbered([complete])], 'one and other differ at number 7'],
  ])('finds a reader who %s', (_, change, violation) => {
    const events = numbered(good)
    const readings = [reading('one', events), reading('other', change(events))]
    expect(checkRun(runOf(good, { readings }))).toContainEqual(expect.stringContaining(violation))
  })

  it('finds a gap', () => {
    const events = numbered(good)
    const readings = [reading('one', events), { ...reading('other', events), gaps: ['expired'] }]
    expect(checkRun(runOf(good, { readings }))).toContainEqual(
      expect.stringContaining('other was told a gap'),
    )
  })
})

describe('the check of a source', () => {
  const source: SourceRecord = { name: 's', type: 'tick', seqKey: 'seq', count: 3, mustComplete: false }
  const tick = (seq: number): Told => ['tick', { seq, source: 's' }]
  const ended: Told = ['source_complete', { source: 's' }]
  const failed: Told = ['source_error', { source: 's', error: 'away' }]
  const end: Told = ['complete', { status: 'succeeded' }]
  const check = (...told: Told[]) =>
    checkRun(runOf([...told, end], { taskIds: [], sources: [source], status: 'succeeded' }))

  it('passes one that came whole, or broke and said so', () => {
    expect(check(tick(1), ['tick', { seq: 1, source: 'another' }], tick(2), tick(3), ended)).toEqual([])
    expect(check(tick(1), failed)).toEqual([])
  })

  it('passes a run that is the source itself', () => {
    const own = { ...source, name: undefined }
    const told: Told[] = [1, 2, 3].map((seq) => ['tick', { seq }])
    const given = { taskIds: [], sources: [own], status: 'succeeded' }
    expect(checkRun(runOf([...told, end], given))).toEqual([])
    expect(checkRun(runOf([...told.slice(1), end], given))).not.toEqual([])
    expect(checkRun(runOf([...told.slice(0, 2), end], given))).not.toEqual([])
  })

  it('finds one that was given up though it could be resumed', () => {
    const sources = [{ ...source, mustComplete: true }]
    const given = { taskIds: [], sources, status: 'succeeded' }
    expect(checkRun(runOf([tick(1), failed, end], given))).toContainEqual(
      expect.stringContaining('source s, which can be resumed, ended after 1 of 3'),
    )
    expect(checkRun(runOf([tick(1), tick(2), tick(3), ended, end], given))).toEqual([])
  })

  it.each<[string, Told[], string]>([
    ['lost an event', [tick(1), tick(3), ended], 'source s has its 3 in place of 2'],
    ['repeated one', [tick(1), tick(2), tick(2), tick(3), ended], 'source s has its 2 in place of 3'],
    ['began anew', [tick(1), tick(2), tick(1), tick(2), tick(3), ended], 'source s has its 1 in place of 3'],
    ['is called complete and is not', [tick(1), tick(2), ended], 'source s is complete with 2 of 3'],
    ['ended twice', [tick(1), tick(2), tick(3), ended, failed], 'source s has 2 ends'],
    ['never ended', [tick(1), tick(2), tick(3)], 'source s has 0 ends'],
  ])('finds one that %s', (_, told, violation) => {
    expect(check(...told)).toContainEqual(expect.stringContaining(violation))
  })
})

describe('the check of calls', () => {
  const call = (taskId: string, atMs: number, repeatable = true): CallRecord => ({
    runKey: 'key',
    taskId,
    atMs,
    repeatable,
  })
  const run = runOf(good, { resultSeenAtMs: new Map([['a', 100]]) })

  it('passes attempts before the end of a task', () => {
    expect(checkCalls([call('a', 10), call('a', 50), call('b', 200), call('b', 300)], [run])).toEqual([])
  })

  it('finds a call of a task whose result had been read', () => {
    expect(checkCalls([call('a', 10), call('a', 150)], [run])).toEqual([
      'task a of parallel run run_1 (key) was called again 50 ms after its result was read',
    ])
  })

  it('finds the second call of what must not be repeated', () => {
    expect(checkCalls([call('b', 10, false), call('b', 20, false)], [run])).toEqual([
      'task b of parallel run run_1 (key) must not be called twice, and was',
    ])
  })

  it('finds a call after a cancel, but for one that was on its way', () => {
    const cancelled = runOf(good, { isCancelAsked: true, callsEndedAtMs: 100 })
    expect(checkCalls([call('b', 150)], [cancelled])).toEqual([])
    expect(checkCalls([call('b', 500)], [cancelled])).toEqual([
      'task b of parallel run run_1 (key) was called 400 ms after its run was cancelled',
    ])
  })
})
