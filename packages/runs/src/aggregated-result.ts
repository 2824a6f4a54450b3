import type { RunEvents, TaskFailure, TruncatedResult } from '@tributary/protocol'

/** A task that succeeded, and where its result stands in the log. */
export interface FinishedTask {
  readonly taskId: string
  readonly status: number
  /** Of the result. */
  readonly json: string
  eventId: string | undefined
}

/** What an event carries around its data. */
const ENVELOPE_BYTES = 1_024
/** The share of an event that error messages may take before the list is cut. */
const ERRORS_SHARE = 0.5

export interface Aggregate {
  /** The data of the `aggregated_result`, as JSON. */
  readonly json: string
  /** The failures that it names: as many as there is room for. */
  readonly errors: TaskFailure[]
}

/**
 * The `aggregated_result` of a run within the size of an event: where all results together are too large,
 * those past the bound are replaced by the id of the event that holds them, and where even that is too much
 * they are left to their events. The counts are always whole; `truncated` says that something was left out.
 */
export function aggregate(
  finished: readonly FinishedTask[],
  failures: readonly TaskFailure[],
  maxEventBytes: number,
): Aggregate {
  const budget = maxEventBytes - ENVELOPE_BYTES
  const errors = firstThatFit(failures, budget * ERRORS_SHARE)
  const errorsJson = JSON.stringify(errors)
  const { results, complete } = fillResults(finished, budget - Buffer.byteLength(errorsJson))
  const counts: Pick<RunEvents['aggregated_result'], 'successCount' | 'errorCount' | 'truncated'> = {
    successCount: finished.length,
    errorCount: failures.length,
    ...(complete && errors.length === failures.length ? {} : { truncated: true }),
  }
  const json = `{"results":{${results.join(',')}},"errors":${errorsJson},${JSON.stringify(counts).slice(1)}`
  return { json, errors }
}

/** The results as members of a JSON object: whole while there is room beside a reference for each of the rest. */
function fillResults(
  finished: readonly FinishedTask[],
  budget: number,
): { results: string[]; complete: boolean } {
  const members = finished.map((task) => {
    const key = JSON.stringify(task.taskId)
    const reference = `${key}:${JSON.stringify(referenceTo(task))}`
    const whole = `${key}:${task.json}`
    return { whole, reference, wholeBytes: bytesOf(whole), referenceBytes: bytesOf(reference) }
  })
  let left = budget - members.reduce((sum, { referenceBytes }) => sum + referenceBytes, 0)
  if (left < 0) return { results: [], complete: finished.length === 0 }
  const results = members.map(({ whole, reference, wholeBytes, referenceBytes }) => {
    if (wholeBytes - referenceBytes > left) return reference
    left -= wholeBytes - referenceBytes
    return whole
  })
  return { results, complete: true }
}

/** With the comma after it. */
function bytesOf(member: string): number {
  return Buffer.byteLength(member) + 1
}

function referenceTo({ status, eventId = '' }: FinishedTask): TruncatedResult {
  return { status, truncated: true, eventId }
}

function firstThatFit(failures: readonly TaskFailure[], budget: number): TaskFailure[] {
  const errors: TaskFailure[] = []
  let left = budget
  for (const failure of failures) {
    left -= bytesOf(JSON.stringify(failure))
    if (left < 0) break
    errors.push(failure)
  }
  return errors
}
