import {
  type HandlerRequest,
  type HandlerResponse,
  isTask,
  type LogLevel,
  type TaskContext,
} from './define-task.ts'
import { RemoteError, toErrorData } from './error-data.ts'
import { TaskError } from './handler-error.ts'
import { assertJson } from './json-value.ts'
import type { ProgressReport } from './task-progress.ts'
import {
  type FromThread,
  type HandlerModule,
  MAX_OPEN_REQUESTS,
  MAX_UNREAD_REPORTS,
  type ThreadJob,
  type ThreadOutcome,
  type ToThread,
} from './thread-message.ts'

/** Runs one task in this thread. What the pool calls. */
export async function runThreadJob(job: ThreadJob): Promise<ThreadOutcome> {
  const context = new ThreadContext(job)
  try {
    const run = await findTask(job.module)
    const result = (await run(context, job.input)) ?? null
    assertJson(result)
    return { ok: true, result }
  } catch (error) {
    return { ok: false, error: toErrorData(error) }
  } finally {
    context.end()
  }
}

async function findTask({ url, exportName }: HandlerModule) {
  const exports: Record<string, unknown> = await import(/* @vite-ignore */ url)
  const task = exports[exportName]
  if (!isTask(task)) throw new TypeError(`${url} no longer exports the task ${exportName}`)
  return task.run.bind(task)
}

type Fields = Readonly<Record<string, unknown>> | undefined
type Pending = PromiseWithResolvers<HandlerResponse>

/** A handler's context in a thread. What a handler calls are fields, so that it can take the context apart. */
class ThreadContext implements TaskContext {
  readonly taskId: string
  readonly attempt: number
  readonly signal = new AbortController().signal
  readonly sampleUrl?: string
  readonly log = {
    info: (message: string, fields?: Fields) => this.#log('info', message, fields),
    warn: (message: string, fields?: Fields) => this.#log('warn', message, fields),
    error: (message: string, fields?: Fields) => this.#log('error', message, fields),
  }
  readonly #port: ThreadJob['port']
  readonly #unread: Int32Array
  readonly #pending = new Map<number, Pending>()
  #lastRequestId = 0
  #skipped: ProgressReport | undefined
  #droppedLogs = 0
  #hasEnded = false

  constructor({ taskId, attempt, sampleUrl, port, unread }: ThreadJob) {
    this.taskId = taskId
    this.attempt = attempt
    if (sampleUrl !== undefined) this.sampleUrl = sampleUrl
    this.#port = port
    this.#unread = new Int32Array(unread)
    port.on('message', (message: ToThread) => this.#settle(message))
    this.#port.postMessage({ kind: 'started' } satisfies FromThread)
  }

  readonly progress = ({ step, totalSteps, progress, message }: ProgressReport): void => {
    // Only what belongs in a report: anything else that a handler passes might not survive the way.
    const report = {
      ...(step === undefined ? {} : { step }),
      ...(totalSteps === undefined ? {} : { totalSteps }),
      ...(progress === undefined ? {} : { progress }),
      ...(message === undefined ? {} : { message }),
    }
    this.#skipped = this.#hasRoom() ? undefined : report
    if (this.#skipped === undefined) this.#report({ kind: 'progress', report })
  }

  readonly request = async (request: HandlerRequest): Promise<HandlerResponse> => {
    if (this.#hasEnded) throw new TaskError('The task has ended')
    if (this.#pending.size >= MAX_OPEN_REQUESTS) {
      throw new TaskError(`A task may have ${MAX_OPEN_REQUESTS} requests open, no more`)
    }
    const id = ++this.#lastRequestId
    // Cloned, not moved: the body may be the handler's to use again.
    this.#port.postMessage({ kind: 'request', id, request } satisfies FromThread)
    const pending: Pending = Promise.withResolvers()
    this.#pending.set(id, pending)
    return await pending.promise
  }

  end(): void {
    if (this.#skipped !== undefined) this.#report({ kind: 'progress', report: this.#skipped })
    if (this.#droppedLogs > 0) this.#reportLog('warn', 'Log lines were dropped', { count: this.#droppedLogs })
    this.#hasEnded = true
    this.#port.close()
  }

  #settle(message: ToThread): void {
    const pending = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    if (message.kind === 'response') pending?.resolve(message.response)
    else pending?.reject(new RemoteError(message.error))
  }

  #log(level: LogLevel, message: string, fields: Fields): void {
    if (this.#hasRoom()) this.#reportLog(level, message, fields)
    else this.#droppedLogs += 1
  }

  #reportLog(level: LogLevel, message: string, fields: Fields): void {
    try {
      this.#report({ kind: 'log', level, message, ...(fields === undefined ? {} : { fields }) })
    } catch {
      // A function among the fields, say. The line matters more than they do.
      this.#report({ kind: 'log', level, message, fields: { fieldsLost: true } })
    }
  }

  #hasRoom(): boolean {
    return Atomics.load(this.#unread, 0) < MAX_UNREAD_REPORTS
  }

  #report(report: FromThread): void {
    if (this.#hasEnded) return
    this.#port.postMessage(report)
    Atomics.add(this.#unread, 0, 1)
  }
}
