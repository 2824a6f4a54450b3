import type { RunEvents, TaskFailure, TaskResult } from '@tributary/protocol'

/** A task that succeeded, and where its result stands in the log. */
export interface FinishedTask {
  readonly taskId: string
  readonly result: TaskResult
  eventId: string | undefined
}

/** What an event carries around its data. */
const ENVELOPE_BYTES = 1_024
/** The share of an event that error messages may take before the list is cut. */
const ERRORS_SHARE = 0.5

const byteLength = (value: unknown) => Buffer.byteLength(JSON.stringify(value))

/**
 * The `aggregated_result` of a run within the size of an event: where all results together are too large,
 * those past the bound are replaced by the id of the event that holds them, and where even that is too much
 * they are left to their events. The counts are always whole.
 */
export function aggregate(
  finished: readonly FinishedTask[],
  failures: readonly TaskFailure[],
  maxEventBytes: number,
): { result: RunEvents['aggregated_result']; errors: TaskFailure[] } {
  const budget = maxEventBytes - ENVELOPE_BYTES
  const errors = cut(failures, budget * ERRORS_SHARE)
  const results: RunEvents['aggregated_result']['results'] = {}
  const whole = finished.map((task) => byteLength(task.result) + byteLength(task.taskId) + 2)
  const references = finished.map((task) => byteLength(reference(task)) + byteLength(task.taskId) + 2)
  let left = budget - byteLength(errors) - references.reduce((sum, bytes) => sum + bytes, 0)
  finished.forEach((task, index) => {
    const extra = (whole[index] ?? 0) - (references[index] ?? 0)
    if (extra <= left) {
      left -= Math.max(0, extra)
      results[task.taskId] = task.result
    } else if (left >= 0) results[task.taskId] = reference(task)
  })
  return { result: { results, errors, successCount: finished.length, errorCount: failures.length }, errors }
}

function reference({ result, eventId = '' }: FinishedTask) {
  return { status: result.status, truncated: true as const, eventId }
}

function cut(failures: readonly TaskFailure[], budget: number): TaskFailure[] {
  const errors: TaskFailure[] = []
  let left = budget
  for (const failure of failures) {
    left -= byteLength(failure) + 1
    if (left < 0) break
    errors.push(failure)
  }
  return errors
}
