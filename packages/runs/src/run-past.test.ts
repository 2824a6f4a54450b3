import { StoreUnavailableError } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { systemClock } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { readRunPast } from './run-past.ts'

const WAITING = { clock: systemClock, end: new Promise<never>(() => undefined) }

const result = (body: unknown) => ({ status: 200, headers: {}, body, truncated: false })

async function logOf(events: [type: string, data: unknown][], maxEvents = 1_000_000) {
  const store = new MemoryEventStore()
  const log = await store.open('run:a', { runId: 'a', retention: () => ({ maxEvents, maxAgeMs: 1e9 }) })
  for (const [type, data] of events) await log.append([{ event: { type, data, source: 'worker' } }])
  await store.close()
  return log
}

describe('readRunPast', () => {
  it('tells of each task the last attempt, the first start and the end', async () => {
    const log = await logOf([
      ['task_start', { taskId: 'a', taskName: 'a', attempt: 1, source: 'worker' }],
      ['task_retry', { taskId: 'a', attempt: 2, reason: 'http_5xx', delayMs: 1 }],
      ['task_start', { taskId: 'b', taskName: 'b', attempt: 1, source: 'worker' }],
      ['task_start', { taskId: 'a', taskName: 'a', attempt: 2, source: 'worker' }],
      ['task_error', { taskId: 'b', taskName: 'b', error: 'no', code: 'http_4xx', attempt: 1 }],
      ['task_error', { taskId: 'c', taskName: 'c', error: 'never', code: 'cancelled', attempt: 0 }],
      ['task_complete', { taskId: 'd', taskName: 'd', result: result(1), durationMs: 1, attempt: 1 }],
    ])
    const { tasks, aggregated, trimmed } = await readRunPast(log, WAITING)
    expect([aggregated, trimmed]).toEqual([false, false])
    expect([...tasks.keys()]).toEqual(['b', 'c', 'd', 'a'])
    expect(tasks.get('a')).toMatchObject({ attempt: 2, final: undefined, startedMs: expect.any(Number) })
    expect(tasks.get('b')).toMatchObject({ attempt: 1, final: { kind: 'error', code: 'http_4xx' } })
    expect(tasks.get('c')).toMatchObject({ attempt: 0, startedMs: undefined, final: { kind: 'error' } })
    expect(tasks.get('d')?.final).toEqual({
      kind: 'complete',
      status: 200,
      json: JSON.stringify(result(1)),
      eventId: log.idOf(log.head),
    })
  })

  it('holds on to the first end of a task, whatever follows', async () => {
    const { tasks } = await readRunPast(
      await logOf([
        ['task_complete', { taskId: 'a', taskName: 'a', result: result(1), durationMs: 1, attempt: 1 }],
        ['task_start', { taskId: 'a', taskName: 'a', attempt: 2, source: 'worker' }],
        ['task_error', { taskId: 'a', taskName: 'a', error: 'no', code: 'http_4xx', attempt: 2 }],
        ['aggregated_result', {}],
      ]),
      WAITING,
    )
    expect([...tasks.values()]).toMatchObject([{ final: { kind: 'complete' } }])
  })

  it('passes over what is of no task', async () => {
    const { tasks, aggregated } = await readRunPast(
      await logOf([
        ['task_start', null],
        ['task_complete', 'x'],
        ['progress', { step: 1 }],
        ['aggregated_result', {}],
      ]),
      WAITING,
    )
    expect([tasks.size, aggregated]).toEqual([0, true])
  })

  it('says where the log does not go back to the first event', async () => {
    const events = Array.from({ length: 600 }, (): [string, unknown] => ['progress', {}])
    expect((await readRunPast(await logOf(events), WAITING)).trimmed).toBe(false)
    expect((await readRunPast(await logOf(events, 100), WAITING)).trimmed).toBe(true)
    expect((await readRunPast(await logOf([]), WAITING)).trimmed).toBe(false)
  })

  it('keeps of many results as many bytes as may find room in one event', async () => {
    const body = 'x'.repeat(100_000)
    const events = Array.from({ length: 30 }, (_, n): [string, unknown] => [
      'task_complete',
      { taskId: `t${n}`, taskName: 't', result: result(body), durationMs: 1, attempt: 1 },
    ])
    const { tasks } = await readRunPast(await logOf(events), WAITING)
    const held = [...tasks.values()].filter(({ final }) => final !== undefined && 'json' in final)
    expect(tasks.size).toBe(30)
    expect(held.length).toBeGreaterThan(1)
    expect(held.length).toBeLessThan(12)
  })

  it('waits for a store that is away until it is back, and no longer than there is use in it', async () => {
    const clock = new FakeClock()
    const ended = Promise.withResolvers<void>()
    const log = await logOf([['task_start', { taskId: 'a', taskName: 'a', attempt: 1, source: 'worker' }]])
    const read = log.read.bind(log)
    const tried = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let isAway = true
    log.read = async (...given) => {
      if (!isAway) return read(...given)
      tried.shift()?.resolve()
      throw new StoreUnavailableError('it is away')
    }
    const [first, second] = tried
    const reading = readRunPast(log, { clock, end: ended.promise })
    await first?.promise
    await expect.poll(() => clock.timerCount).toBe(1)
    clock.advance(250)
    await second?.promise
    await expect.poll(() => clock.timerCount).toBe(1)
    isAway = false
    clock.advance(250)
    expect((await reading).tasks.get('a')).toMatchObject({ attempt: 1 })
    isAway = true
    const inVain = readRunPast(log, { clock, end: ended.promise })
    await expect.poll(() => clock.timerCount).toBe(1)
    ended.resolve()
    await expect(inVain).rejects.toThrow(StoreUnavailableError)
    expect(clock.timerCount).toBe(0)
  })
})
