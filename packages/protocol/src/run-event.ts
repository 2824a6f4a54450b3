import type { ErrorCode, Fault, TaskErrorCode } from './error-code.ts'
import type { CompleteData } from './run.ts'
import type { TaskFailure, TaskResult } from './task.ts'

/** The terminal event of every run. */
export const COMPLETE = 'complete'

/** What each event of a run's log carries. Where several do its work, each event of a task says who. */
export interface RunEvents {
  task_start: { taskId: string; taskName: string; attempt: number; source: string }
  task_progress: {
    taskId: string
    step?: number
    totalSteps?: number
    /** 0 to 100. */
    progress: number
    bytes?: number
    message?: string
    source?: string
  }
  /** Voids the progress of the earlier attempt. */
  task_retry: { taskId: string; attempt: number; reason: TaskErrorCode; delayMs: number; source?: string }
  task_complete: {
    taskId: string
    taskName: string
    result: TaskResult
    durationMs: number
    attempt: number
    source?: string
  }
  task_error: {
    taskId: string
    taskName: string
    error: string
    code: TaskErrorCode
    attempt: number
    source?: string
  } & Fault
  /** The stream as a whole. */
  error: { error: string; code: TaskErrorCode | ErrorCode } & Fault
  /** The run as a whole. */
  progress: { step: number; totalSteps: number; progress: number }
  source_error: { source: string; error: string; code: TaskErrorCode | ErrorCode } & Fault
  source_complete: { source: string } & Record<string, unknown>
  aggregated_result: {
    results: Record<string, TaskResult | TruncatedResult>
    errors: TaskFailure[]
    successCount: number
    errorCount: number
    /** Whether results or errors were left out for their size. The counts are whole. */
    truncated?: true
  }
  complete: CompleteData
}

export type RunEventType = keyof RunEvents

/** In an `aggregated_result` that would be too large: where to read the result instead. */
export interface TruncatedResult {
  status: number
  truncated: true
  /** The `task_complete` that holds it. */
  eventId: string
}

/** Which names a stream uses: `standard` on `/api/runs/…`, `emitter` where existing clients listen. */
export type Naming = 'standard' | 'emitter'

/**
 * The names that differ, by naming. Existing clients listen for `error`; elsewhere a failed task is no
 * `error`, because a message of that name also fires an EventSource's `onerror`.
 */
export const EMITTER_NAMES: Readonly<Record<string, string>> = { task_error: 'error' }

/** The name an event of a log goes by on a stream of this naming. */
export function wireName(type: string, naming: Naming): string {
  if (naming !== 'emitter' || !Object.hasOwn(EMITTER_NAMES, type)) return type
  return EMITTER_NAMES[type] ?? type
}

/** Undoes `wireName`: an `error` that names a task is that task's `task_error`. */
export function standardName(type: string, data: unknown): string {
  const ofTask = typeof data === 'object' && data !== null && Object.hasOwn(data, 'taskId')
  return type === EMITTER_NAMES.task_error && ofTask ? 'task_error' : type
}
