import { describe, expect, it } from 'vitest'
import { anyRun, openRuns, settle } from '../test/runs-under-test.ts'
import type { RunMeter } from './run-meter.ts'
import { TaskBoard } from './task-board.ts'

function noted() {
  const told: unknown[][] = []
  const meter: RunMeter = {
    started: (...said) => void told.push(['started', ...said]),
    ended: (...said) => void told.push(['ended', ...said]),
    taskRetried: (...said) => void told.push(['retried', ...said]),
    taskEnded: (...said) => void told.push(['task', ...said]),
  }
  return { told, meter }
}

describe('a meter of runs', () => {
  it('hears of each run and each task once, with how long they took', async () => {
    const { told, meter } = noted()
    await using t = await openRuns({ meter })
    const run = await t.runs.start(anyRun(3), async (begun) => {
      const tasks = ['a', 'b', 'c'].map((id) => ({ id, name: id, source: 'worker' }))
      const board = new TaskBoard(begun, tasks, { clock: t.clock, maxEventBytes: 131_072 })
      await Promise.all([board.start('a', 1), board.start('b', 1)])
      t.clock.advance(20)
      board.retry('b', 'connection_reset', 10)
      await board.start('b', 2)
      t.clock.advance(30)
      board.fail('b', 'gone', 'connection_reset')
      board.complete('a', { status: 200, headers: {}, body: null, truncated: false })
      board.complete('b', { status: 200, headers: {}, body: null, truncated: false })
      return board.finish()
    })
    await run.ended
    await settle()
    expect(told).toEqual([
      ['started', 'parallel-tasks'],
      ['retried', 'connection_reset'],
      ['task', 'connection_reset', 50],
      ['task', undefined, 50],
      ['task', 'task_failed', undefined],
      ['ended', 'parallel-tasks', 'partial', 50],
    ])
    expect([...t.runs.counts()]).toEqual([['partial', 1]])
  })

  it('hears nothing of a run that was not accepted', async () => {
    const { told, meter } = noted()
    await using t = await openRuns({ meter })
    const prepare = () => Promise.reject(new Error('no'))
    const starting = t.runs.start({ ...anyRun(), prepare }, async () => undefined)
    await expect(starting).rejects.toThrow('no')
    expect(told).toEqual([])
  })
})
