import {
  type CallRecord,
  isRewind,
  numberOf,
  type RunEventRecord,
  type RunReading,
  type RunRecord,
  type SourceRecord,
} from './ledger.ts'

const FINAL = new Set(['task_complete', 'task_error'])
/** What a call that was on its way when its run was cancelled may take to get here, in ms. */
const CANCEL_SLACK_MS = 100
const OF_A_TASK = new Set([...FINAL, 'task_start', 'task_progress', 'task_retry'])

export interface RunCheckOptions {
  /** Whether the store may have lost what it had acknowledged: then readers are told, and read it anew. */
  readonly losing?: boolean
  /**
   * Whether what it lost may be lost for good, as the node that had it was away, too. A run whose end was in it is ended
   * once more, and who had read the first end and left cannot be told.
   */
  readonly orphaning?: boolean
  /** Whether one that was only frozen may go on for a moment with what another has taken over. */
  readonly frozen?: boolean
}

/**
 * Holds the readings of a run against each other and against what a run is: the same events for all, without a hole,
 * one final event per task, one `complete`, which is the last.
 */
export function checkRun(
  run: RunRecord,
  { losing = false, orphaning = false }: RunCheckOptions = {},
): string[] {
  const { key, kind, runIds, readings } = run
  const found: string[] = []
  if (runIds.size !== 1)
    found.push(`its start was answered with ${runIds.size} runs: ${[...runIds].join(', ')}`)
  const last = readings.findLast(({ isLate = false }) => isLate) ?? readings[0]
  if (last === undefined) found.push('nobody read it')
  else {
    found.push(...readings.flatMap((reading) => checkReading(reading, losing)))
    for (const other of readings) {
      const differences = compare(last, other, losing)
      if (differences.length === 0) continue
      if (orphaning && other.isLate !== true) found.push(...checkEvents(run, other.events, losing))
      else found.push(...differences)
    }
    found.push(...checkEvents(run, last.events, losing), ...checkStatus(run, last.events, losing))
  }
  return found.map((fault) => `${kind} run ${[...runIds].join('/') || '(without id)'} (${key}): ${fault}`)
}

function checkReading({ reader, events, gaps, isSentBack }: RunReading, losing: boolean): string[] {
  const untrue = losing
    ? gaps.filter((gap) => !isRewind({ reason: String(fieldOf({ data: gap }, 'reason')) }))
    : gaps
  const found = untrue.map((gap) => `${reader} was told a gap: ${gap}`)
  if (isSentBack) found.push(`${reader} was sent back, and told no gap`)
  for (const [index, { id, type }] of events.entries()) {
    if (numberOf(id) === index + 1) continue
    found.push(`${reader} has ${id} (${type}) in place of number ${index + 1}`)
    break
  }
  return found
}

/** Where two readings differ first. What was lost and stored again is the same in the same place, at another time. */
function compare(a: RunReading, b: RunReading, losing: boolean): string[] {
  const length = Math.max(a.events.length, b.events.length)
  for (let index = 0; index < length; index++) {
    const [one, other] = [a.events[index], b.events[index]]
    const isSame = one?.id === other?.id || (losing && numberOf(one?.id ?? '') === numberOf(other?.id ?? ''))
    if (isSame && one?.type === other?.type && one?.data === other?.data) continue
    return [
      `${a.reader} and ${b.reader} differ at number ${index + 1}: ${describe(one)} and ${describe(other)}`,
    ]
  }
  return []
}

/** Only a cancel cancels, and then the run says so, as does its page: at once, but where its end was lost. */
function checkStatus(
  { status, statusBefore, isCancelAsked, isCancelled }: RunRecord,
  events: readonly RunEventRecord[],
  losing: boolean,
): string[] {
  const found: string[] = []
  if (statusBefore !== undefined && !losing) {
    found.push(`its page said ${statusBefore} when its end had been read`)
  }
  const said = fieldOf(
    events.findLast(({ type }) => type === 'complete'),
    'status',
  )
  if (said !== status) found.push(`its complete says ${said}, its page ${status}`)
  if (said === 'cancelled' && !isCancelAsked) found.push('it is cancelled, and nobody asked for that')
  if (said !== 'cancelled' && isCancelled) {
    found.push(`it was answered that it is cancelled, and its complete says ${said}`)
  }
  return found
}

function checkEvents(run: RunRecord, events: readonly RunEventRecord[], losing: boolean): string[] {
  const { taskIds, sources } = run
  const found: string[] = []
  const ends = events.filter(({ type }) => type === 'complete')
  if (ends.length !== 1) found.push(`it has ${ends.length} complete events`)
  const last = events.at(-1)
  if (last?.type !== 'complete') found.push(`its last event is ${describe(last)}`)
  const summaries = events.filter(({ type }) => type === 'aggregated_result').length
  if (summaries > 1) found.push(`it has ${summaries} aggregated results`)
  if (taskIds.length > 0) found.push(...checkTasks(run, events, losing))
  return [...found, ...sources.flatMap((source) => checkSource(source, run.isCancelAsked, events))]
}

function checkTasks(
  { taskIds, mustSucceed, isCancelAsked }: RunRecord,
  events: readonly RunEventRecord[],
  losing: boolean,
): string[] {
  const found: string[] = []
  const final = new Map<unknown, RunEventRecord>()
  for (const event of events) {
    if (!OF_A_TASK.has(event.type)) continue
    const taskId = fieldOf(event, 'taskId')
    const before = final.get(taskId)
    if (before !== undefined)
      found.push(`task ${taskId} has ${describe(event)} after its ${describe(before)}`)
    if (FINAL.has(event.type)) final.set(taskId, event)
  }
  for (const taskId of taskIds) if (!final.has(taskId)) found.push(`task ${taskId} has no final event`)
  for (const taskId of isCancelAsked ? [] : mustSucceed) {
    const event = final.get(taskId)
    // With the run that a hybrid one had at a worker, its tasks are lost.
    const isLost = losing && fieldOf(event, 'code') === 'worker_lost'
    if (event?.type === 'task_error' && !isLost)
      found.push(`task ${taskId}, which may be called again, has ${describe(event)}`)
  }
  const known = new Set<unknown>(taskIds)
  for (const taskId of final.keys()) if (!known.has(taskId)) found.push(`there is no task ${taskId}`)
  const complete = events.find(({ type }) => type === 'complete')
  const successes = [...final.values()].filter(({ type }) => type === 'task_complete').length
  const counts = ['totalTasks', 'successCount', 'errorCount'].map((name) => fieldOf(complete, name))
  const due = [taskIds.length, successes, taskIds.length - successes]
  if (complete !== undefined && String(counts) !== String(due)) {
    found.push(`its complete counts ${counts.join('/')}, its tasks are ${due.join('/')}`)
  }
  return found
}

/** A source's events: each once, in its order, without a hole; all of them where it is said to have succeeded. */
function checkSource(
  source: SourceRecord,
  isCancelAsked: boolean,
  events: readonly RunEventRecord[],
): string[] {
  const { name, seqKey, count, mustComplete } = source
  const ofSource = (...types: string[]) =>
    events.filter(
      (event) => types.includes(event.type) && (name === undefined || fieldOf(event, 'source') === name),
    )
  const own = ofSource(source.type)
  for (const [index, event] of own.entries()) {
    const seq = fieldOf(event, seqKey)
    if (seq !== index + 1) return [`source ${name} has its ${seq} in place of ${index + 1}, at ${event.id}`]
  }
  const ends = name === undefined ? ofSource('complete') : ofSource('source_complete', 'source_error')
  if (ends.length !== 1) return [`source ${name} has ${ends.length} ends`]
  const [end] = ends
  // A stream of somebody else's that ends cleanly has no status to tell.
  const succeeded = end?.type !== 'source_error' && (fieldOf(end, 'status') ?? 'succeeded') === 'succeeded'
  if (mustComplete && !succeeded && !isCancelAsked) {
    return [`source ${name}, which can be resumed, ended after ${own.length} of ${count}: ${describe(end)}`]
  }
  return succeeded && own.length !== count
    ? [`source ${name} is complete with ${own.length} of ${count} events`]
    : []
}

/**
 * Holds the calls that the external API got against what the readers saw: none of a task whose result somebody had
 * seen, none after a cancel, and at most one of what must not be called twice.
 */
export function checkCalls(
  calls: readonly CallRecord[],
  runs: readonly RunRecord[],
  { losing = false, frozen = false }: RunCheckOptions = {},
): string[] {
  const found: string[] = []
  const runOf = new Map(runs.map((run) => [run.key, run]))
  const once = new Set<string>()
  for (const { runKey, taskId, atMs, repeatable } of calls) {
    const run = runOf.get(runKey)
    const what = `task ${taskId} of ${run?.kind} run ${[...(run?.runIds ?? [])].join('/')} (${runKey})`
    const seenAtMs = run?.resultSeenAtMs.get(taskId)
    const endedAtMs = run?.callsEndedAtMs
    if (endedAtMs !== undefined && atMs > endedAtMs + CANCEL_SLACK_MS) {
      found.push(`${what} was called ${Math.round(atMs - endedAtMs)} ms after its run was cancelled`)
    }
    // Who was frozen learns that it was replaced by its next append, and a call may come before that.
    const isLate = losing || (frozen && repeatable)
    if (seenAtMs !== undefined && atMs > seenAtMs && !isLate) {
      found.push(`${what} was called again ${Math.round(atMs - seenAtMs)} ms after its result was read`)
    }
    const call = `${runKey} ${taskId}`
    if (!repeatable && once.has(call) && !losing) found.push(`${what} must not be called twice, and was`)
    once.add(call)
  }
  return found
}

function describe(event: RunEventRecord | undefined): string {
  if (event === undefined) return 'nothing'
  const { id, type, data } = event
  return `${id} ${type} ${data.length > 200 ? `${data.slice(0, 200)}…` : data}`
}

/** A field of an event's data. */
export function fieldOf(event: Pick<RunEventRecord, 'data'> | undefined, name: string): unknown {
  if (event === undefined) return undefined
  const data: unknown = JSON.parse(event.data)
  return typeof data === 'object' && data !== null ? Reflect.get(data, name) : undefined
}
