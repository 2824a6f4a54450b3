import { describe, expect, it } from 'vitest'
import { ProgressReporter, type TaskProgress } from './task-progress.ts'

function reported(totalSteps: number | undefined, ...reports: Parameters<ProgressReporter['report']>[0][]) {
  const seen: TaskProgress[] = []
  const reporter = new ProgressReporter(totalSteps, (progress) => seen.push(progress))
  for (const report of reports) reporter.report(report)
  return seen
}

describe('ProgressReporter', () => {
  it('computes the percentage from step and totalSteps, its own or the task’s', () => {
    expect(reported(4, { step: 1 }, { step: 1, totalSteps: 3 })).toEqual([
      { step: 1, totalSteps: 4, progress: 25 },
      { step: 1, totalSteps: 3, progress: 33.33 },
    ])
  })

  it('prefers what is said, and keeps it between 0 and 100', () => {
    const percentages = reported(4, { step: 1, progress: 7 }, { progress: -3 }, { progress: 180 })
    expect(percentages.map(({ progress }) => progress)).toEqual([7, 0, 100])
  })

  it('keeps the last percentage where a report says none', () => {
    expect(
      reported(undefined, { progress: 40 }, { message: 'still at it' }, { progress: Number.NaN }),
    ).toEqual([{ progress: 40 }, { progress: 40, message: 'still at it' }, { progress: 40 }])
  })
})
