import type { ReadableLog } from '@tributary/eventlog'
import type { RunEvents, RunEventType, TaskErrorCode } from '@tributary/protocol'

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
  | { readonly kind: 'complete'; readonly status: number; readonly json: string; readonly eventId: string }
  | { readonly kind: 'error'; readonly error: string; readonly code: TaskErrorCode }

/** What the log of a run says of the tasks that were at work in it. */
export interface RunPast {
  /** By task, those with a final event in the order of it. */
  readonly tasks: ReadonlyMap<string, TaskPast>
  /** Whether the `aggregated_result` is there already. */
  readonly aggregated: boolean
}

const NOT_BEGUN: TaskPast = { attempt: 0, startedMs: undefined, final: undefined }

/** Reads what has become of the tasks of a run so far. */
export async function readRunPast(log: ReadableLog): Promise<RunPast> {
  const open = new Map<string, TaskPast>()
  const final = new Map<string, TaskPast>()
  let aggregated = false
  for (let after = 0, hasMore = true; hasMore; ) {
    const page = await log.read(after)
    for (const { position, event } of page.entries) {
      after = position.n
      const data: unknown = event.data
      aggregated ||= event.type === 'aggregated_result'
      if (is('task_start', event.type, data)) {
        const { startedMs = event.timestamp } = open.get(data.taskId) ?? NOT_BEGUN
        open.set(data.taskId, { attempt: data.attempt, startedMs, final: undefined })
      } else if (is('task_complete', event.type, data)) {
        const { status } = data.result
        const json = JSON.stringify(data.result)
        end(data.taskId, { kind: 'complete', status, json, eventId: event.id })
      } else if (is('task_error', event.type, data)) {
        end(data.taskId, { kind: 'error', error: data.error, code: data.code })
      }
    }
    hasMore = page.hasMore
  }
  return { tasks: new Map([...final, ...open]), aggregated }

  function end(taskId: string, how: TaskFinal): void {
    final.set(taskId, { ...(open.get(taskId) ?? NOT_BEGUN), final: how })
    open.delete(taskId)
  }
}

/** The log is our own, and holds what we appended; that an event is of a task is what has to hold. */
function is<T extends 'task_start' | 'task_complete' | 'task_error'>(
  wanted: T,
  type: RunEventType | string,
  data: unknown,
): data is RunEvents[T] {
  return type === wanted && typeof data === 'object' && data !== null && 'taskId' in data
}
