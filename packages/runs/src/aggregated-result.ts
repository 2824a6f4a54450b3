import type { RunEvents, TaskFailure } from '@tributary/protocol'

/** A task that succeeded, and where its result stands in the log. */
export interface FinishedTask {
  readonly taskId: string
  readonly status: number
  /** Of the result; `undefined` where it is only in the log. */
  readonly json: string | undefined
  eventId: string | undefined
}

/** Left for what a reader of several runs puts into each event: the name of its source. */
const RESERVED_BYTES = 1_024
/** The share of an event that errors may take from results. */
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
  const budget = maxEventBytes - RESERVED_BYTES
  const members = finished.map(memberOf)
  const leastBytes = members.reduce((sum, { bytes }) => sum + bytes, 0)
  const errors = firstThatFit(failures, Math.max(budget * ERRORS_SHARE, budget - leastBytes))
  const errorsJson = JSON.stringify(errors)
  const results = fill(members, leastBytes, budget - Buffer.byteLength(errorsJson))
  const isWhole = results.length === finished.length && errors.length === failures.length
  const counts: Pick<RunEvents['aggregated_result'], 'successCount' | 'errorCount' | 'truncated'> = {
    successCount: finished.length,
    errorCount: failures.length,
    ...(isWhole ? {} : { truncated: true }),
  }
  const json = `{"results":{${results.join(',')}},"errors":${errorsJson},${JSON.stringify(counts).slice(1)}`
  return { json, errors }
}

/** A result as a member of a JSON object, in the shorter of its forms. Bytes with the comma after it. */
interface Member {
  readonly text: string
  readonly bytes: number
  /** There where the shorter form is a reference, and the whole one is at hand. */
  readonly whole?: { readonly text: string; readonly bytes: number }
}

function memberOf({ taskId, status, json, eventId = '' }: FinishedTask): Member {
  const key = JSON.stringify(taskId)
  // A `TruncatedResult`. An event id holds nothing that JSON would escape.
  const reference = sized(`${key}:{"status":${status},"truncated":true,"eventId":"${eventId}"}`)
  if (json === undefined) return reference
  const whole = sized(`${key}:${json}`)
  return whole.bytes <= reference.bytes ? whole : { ...reference, whole }
}

function sized(text: string): { text: string; bytes: number } {
  return { text, bytes: Buffer.byteLength(text) + 1 }
}

/** The first results whole, while there is room beside the least of the rest; the last ones not at all, if need be. */
function fill(members: readonly Member[], leastBytes: number, budget: number): string[] {
  let left = budget - leastBytes
  let kept = members.length
  while (left < 0 && kept > 0) {
    kept -= 1
    left += members[kept]?.bytes ?? 0
  }
  return members.slice(0, kept).map(({ text, bytes, whole }) => {
    if (whole === undefined || whole.bytes - bytes > left) return text
    left -= whole.bytes - bytes
    return whole.text
  })
}

function firstThatFit(failures: readonly TaskFailure[], budget: number): TaskFailure[] {
  const errors: TaskFailure[] = []
  let left = budget
  for (const failure of failures) {
    left -= Buffer.byteLength(JSON.stringify(failure)) + 1
    if (left < 0) break
    errors.push(failure)
  }
  return errors
}
