import { setImmediate as nextTurn } from 'node:timers/promises'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import type { TaskContext } from './define-task.ts'
import { SIMULATED_STEP_MS, SIMULATED_STEPS, simulatedTask } from './simulated-task.ts'
import type { ProgressReport } from './task-progress.ts'

function setUp() {
  const clock = new FakeClock()
  const stop = new AbortController()
  const reports: ProgressReport[] = []
  const silent = () => {}
  const context: TaskContext = {
    taskId: 't1',
    attempt: 1,
    signal: stop.signal,
    log: { info: silent, warn: silent, error: silent },
    progress: (report) => reports.push(report),
    request: () => Promise.reject(new Error('makes no requests')),
  }
  return { clock, stop, reports, done: simulatedTask('Anything', clock).run(context, undefined) }
}

describe('simulatedTask', () => {
  it('takes its steps by the clock and says that it is no real work', async () => {
    const { clock, reports, done } = setUp()
    for (let step = 1; step <= SIMULATED_STEPS; step++) {
      expect(reports).toHaveLength(step - 1)
      clock.advance(SIMULATED_STEP_MS)
      await nextTurn()
    }
    expect(reports.map(({ step }) => step)).toEqual([1, 2, 3, 4])
    expect(await done).toEqual({ simulated: true, name: 'Anything' })
    expect(clock.timerCount).toBe(0)
  })

  it('stops at once when it is aborted', async () => {
    const { clock, stop, done } = setUp()
    stop.abort(new Error('enough'))
    await expect(done).rejects.toThrow('enough')
    expect(clock.timerCount).toBe(0)
  })
})
