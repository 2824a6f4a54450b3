import { type HandlerRequest, type HandlerResponse, isTask, type LogLevel, type TaskContext } from './define-task.ts'
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

type Pending = PromiseWithResolvers<HandlerResponse>

class ThreadContext implements TaskContext {
  readonly taskId: string
  readonly attempt: number
  readonly signal = new AbortController().signal
  readonly sampleUrl?: string
  readonly log = {
    info: (message: string, fields?: Readonly<Record<string, unknown>>) => this.#log('info', message, fields),
    warn: (message: string, fields?: Readonly<Record<string, unknown>>) => this.#log('warn', message, fields),
    error: (message: string, fields?: Readonly<Record<string, unknown>>) => this.#log('error', message, fields),
  }
  readonly #port: ThreadJob['port']
  readonly #unread: Int32Array
  readonly #pending = new Map<number, Pending>()
  #lastRequestId = 0
  #skipped: ProgressReport | undefined
  #droppedLogs = 0
  #ended = false

  constructor({ taskId, attempt, sampleUrl, port, unread }: ThreadJob) {
    this.taskId = taskId
    this.attempt = attempt
    if (sampleUrl !== undefined) this.sampleUrl = sampleUrl
    this.#port = port
    this.#unread = new Int32Array(unread)
    port.on('message', (message: ToThread) => this.#settle(message))
    this.#post({ kind: 'started' })
  }

  progress({ step, totalSteps, progress, message }: ProgressReport): void {
    // Only what belongs in a report: anything else a handler passes might not survive the way.
    const report = {
      ...(step === undefined ? {} : { step }),
      ...(totalSteps === undefined ? {} : { totalSteps }),
      ...(progress === undefined ? {} : { progress }),
      ...(message === undefined ? {} : { message }),
    }
    this.#skipped = this.#hasRoom() ? undefined : report
    if (this.#skipped === undefined) this.#report({ kind: 'progress', report })
  }

  request(request: HandlerRequest): Promise<HandlerResponse> {
    if (this.#ended) return Promise.reject(new TaskError('The task has ended'))
    if (this.#pending.size >= MAX_OPEN_REQUESTS) {
      return Promise.reject(new TaskError(`A task may have ${MAX_OPEN_REQUESTS} requests open, no more`))
    }
    const pending: Pending = Promise.withResolvers()
    const id = ++this.#lastRequestId
    try {
      // Cloned, not moved: the body may be the handler's to use again.
      this.#post({ kind: 'request', id, request })
      this.#pending.set(id, pending)
    } catch (cause) {
      pending.reject(new TypeError('A request holds something that cannot be sent', { cause }))
    }
    return pending.promise
  }

  end(): void {
    if (this.#skipped !== undefined) this.#report({ kind: 'progress', report: this.#skipped })
    if (this.#droppedLogs > 0) this.#reportLog('warn', 'Log lines were dropped', { count: this.#droppedLogs })
    this.#ended = true
    this.#port.close()
  }

  #settle(message: ToThread): void {
    const pending = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    if (message.kind === 'response') pending?.resolve(message.response)
    else pending?.reject(new RemoteError(message.error))
  }

  #log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    if (this.#hasRoom()) this.#reportLog(level, message, fields)
    else this.#droppedLogs += 1
  }

  #reportLog(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    try {
      this.#report({ kind: 'log', level, message, ...(fields === undefined ? {} : { fields }) })
    } catch {
      // A function among the fields, say. The line matters more than they do.
      this.#report({ kind: 'log', level, message: `${message} (its fields cannot leave the thread)` })
    }
  }

  #hasRoom(): boolean {
    return Atomics.load(this.#unread, 0) < MAX_UNREAD_REPORTS
  }

  #report(message: FromThread): void {
    if (this.#ended) return
    this.#post(message)
    Atomics.add(this.#unread, 0, 1)
  }

  #post(message: FromThread): void {
    this.#port.postMessage(message)
  }
}
