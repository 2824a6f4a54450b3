import type { ReadableLog } from '@tributary/eventlog'
import type { RunEvents, TaskErrorCode } from '@tributary/protocol'
import { askPatiently, type StoreWait } from './store-wait.ts'

/** What an earlier executor left of a task. */
export interface TaskPast {
  /** The last that began; 0: none did. */
  readonly attempt: number
  /** When the first began, in ms since 1970. */
  readonly startedMs: number | undefined
  /** Its final event, where it had one. */
  readonly final: TaskFinal | undefined
}

export type TaskFinal =
  | {
      readonly kind: 'complete'
      readonly status: number
      /** Of the result; absent where it is only in the log. */
      readonly json?: string
      readonly eventId: string
    }
  | { readonly kind: 'error'; readonly error: string; readonly code: TaskErrorCode }

/** What the log of a run says of the tasks that were at work in it. */
export interface RunPast {
  /** By task, those with a final event in the order of it. */
  readonly tasks: ReadonlyMap<string, TaskPast>
  /** Whether the `aggregated_result` is there already. */
  readonly aggregated: boolean
  /** Whether the log does not go back to the beginning: a task without a trace may have had one. */
  readonly trimmed: boolean
}

const NOT_BEGUN: TaskPast = { attempt: 0, startedMs: undefined, final: undefined }
/** Bytes of results that are kept; the aggregated one has no room for more. */
const MAX_HELD_BYTES = 1_048_576

/** Reads what has become of the tasks of a run so far. Waits for a store that is away, but not past `end`. */
export async function readRunPast(log: ReadableLog, waiting: StoreWait): Promise<RunPast> {
  const begun = new Map<string, TaskPast>()
  const ended = new Map<string, TaskPast>()
  let aggregated = false
  let firstN: number | undefined
  let heldBytes = 0
  const end = (taskId: string, final: TaskFinal) => {
    if (!ended.has(taskId)) ended.set(taskId, { ...(begun.get(taskId) ?? NOT_BEGUN), final })
    begun.delete(taskId)
  }
  for (let after = 0, hasMore = true; hasMore; ) {
    const from = after
    const page = await askPatiently(() => log.read(from), waiting)
    for (const { position, event } of page.entries) {
      after = position.n
      firstN ??= position.n
      aggregated ||= event.type === 'aggregated_result'
      if (!TASK_EVENTS.has(event.type)) continue
      const data: unknown = event.data
      if (is('task_start', event.type, data)) {
        const { taskId, attempt } = data
        const { startedMs = event.timestamp } = begun.get(taskId) ?? NOT_BEGUN
        if (!ended.has(taskId)) begun.set(taskId, { attempt, startedMs, final: undefined })
      } else if (is('task_complete', event.type, data)) {
        const { taskId, result } = data
        const json = heldBytes < MAX_HELD_BYTES ? JSON.stringify(result) : ''
        heldBytes += json.length
        const held = json === '' ? {} : { json }
        end(taskId, { kind: 'complete', status: result.status, ...held, eventId: event.id })
      } else if (is('task_error', event.type, data)) {
        end(data.taskId, { kind: 'error', error: data.error, code: data.code })
      }
    }
    hasMore = page.hasMore && page.entries.length > 0
  }
  return {
    tasks: new Map([...ended, ...begun]),
    aggregated,
    trimmed: log.head.n > 0 && firstN !== 1,
  }
}

type TaskEvent = 'task_start' | 'task_complete' | 'task_error'
const TASK_EVENTS: ReadonlySet<string> = new Set<TaskEvent>(['task_start', 'task_complete', 'task_error'])

/** The log is our own, and holds what we appended; that an event is of a task is what has to hold. */
function is<T extends TaskEvent>(wanted: T, type: string, data: unknown): data is RunEvents[T] {
  return type === wanted && typeof data === 'object' && data !== null && 'taskId' in data
}
