import type { MessagePort } from 'node:worker_threads'
import type { HandlerRequest, HandlerResponse, LogLevel } from './define-task.ts'
import type { ErrorData } from './error-data.ts'
import type { JsonValue } from './json-value.ts'
import type { ProgressReport } from './task-progress.ts'

/** Where a thread finds the task that it is to run. */
export interface HandlerModule {
  /** A `file:` URL. */
  readonly url: string
  readonly exportName: string
}

/** One task, as it is posted to a thread. */
export interface ThreadJob {
  readonly module: HandlerModule
  readonly input: unknown
  readonly taskId: string
  readonly attempt: number
  readonly sampleUrl?: string
  /** What the thread talks over while it runs; its outcome goes by the pool's own. */
  readonly port: MessagePort
  /** One Int32: how many of the thread's reports were posted and not yet read. */
  readonly unread: SharedArrayBuffer
}

export type ThreadOutcome =
  | { readonly ok: true; readonly result: JsonValue }
  | { readonly ok: false; readonly error: ErrorData }

export type FromThread =
  | { readonly kind: 'started' }
  | { readonly kind: 'progress'; readonly report: ProgressReport }
  | {
      readonly kind: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly fields?: Readonly<Record<string, unknown>>
    }
  | { readonly kind: 'request'; readonly id: number; readonly request: HandlerRequest }

export type ToThread =
  | { readonly kind: 'response'; readonly id: number; readonly response: HandlerResponse }
  | { readonly kind: 'failure'; readonly id: number; readonly error: ErrorData }

/**
 * The most reports (progress and log lines) of one thread that wait to be read. Past it a progress is skipped, as a
 * later one says more, and a log line is dropped and counted. A thread in a tight loop cannot flood the process.
 */
export const MAX_UNREAD_REPORTS = 1024

/** The most requests that one task has open. Further ones reject. */
export const MAX_OPEN_REQUESTS = 64
