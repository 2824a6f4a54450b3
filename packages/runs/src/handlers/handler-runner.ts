import type { HandlerRequester, TaskContext, TaskDefinition, TaskLog } from './define-task.ts'
import { HandlerRunnerClosedError, TaskError, UnknownHandlerError } from './handler-error.ts'
import { HandlerInput } from './handler-input.ts'
import type { Handler, HandlerRegistry } from './handler-registry.ts'
import { assertJson, type JsonValue } from './json-value.ts'
import { ProgressReporter, type TaskProgress } from './task-progress.ts'
import { ThreadPool, type ThreadPoolOptions } from './thread-pool.ts'

export interface HandlerRunnerOptions {
  readonly registry: HandlerRegistry
  /** The guarded client that `context.request` calls. */
  readonly request: HandlerRequester
  /** `context.sampleUrl`. Default: none. */
  readonly sampleUrl?: string
  /** What runs under a name that nobody registered, as `simulatedTask`. Default: such a name is refused. */
  readonly unregistered?: (name: string) => TaskDefinition
  readonly threads?: ThreadPoolOptions
}

export interface HandlerCall {
  readonly input?: unknown
  readonly taskId: string
  /** From 1. */
  readonly attempt: number
  /** Ends the task; its reason is what the call rejects with. */
  readonly signal: AbortSignal
  readonly log: TaskLog
  /** Each progress as it comes, as often as the handler says it; none after the end. */
  onProgress(progress: TaskProgress): void
}

/** Runs named tasks: those that wait on the event loop, those that compute in a thread. */
export class HandlerRunner {
  readonly #registry: HandlerRegistry
  readonly #request: HandlerRequester
  readonly #sampleUrl: string | undefined
  readonly #unregistered: ((name: string) => TaskDefinition) | undefined
  readonly #threads: ThreadPool
  readonly #input = new HandlerInput()
  readonly #running = new Set<AbortController>()
  #closed: Promise<void> | undefined

  constructor({ registry, request, sampleUrl, unregistered, threads }: HandlerRunnerOptions) {
    this.#registry = registry
    this.#request = request
    this.#sampleUrl = sampleUrl
    this.#unregistered = unregistered
    this.#threads = new ThreadPool(threads)
  }

  /** The names that are registered. */
  names(): string[] {
    return this.#registry.names()
  }

  /** The task that `run` would run under this name. */
  find(name: string): TaskDefinition | undefined {
    return this.#find(name)?.task
  }

  /**
   * Refuses what `run` would refuse, before anything is started.
   *
   * @throws UnknownHandlerError, HandlerInputError
   */
  check(name: string, input?: unknown): void {
    this.#input.check(this.#handler(name).task, input)
  }

  /**
   * Runs a task and answers with its result.
   *
   * @throws UnknownHandlerError, HandlerInputError, HandlerResultError, ThreadQueueFullError, ThreadLostError,
   * HandlerRunnerClosedError, the reason of `signal`, or what the handler throws.
   */
  async run(name: string, call: HandlerCall): Promise<JsonValue> {
    const handler = this.#handler(name)
    const input = this.#input.check(handler.task, call.input)
    call.signal.throwIfAborted()
    if (this.#closed !== undefined) throw new HandlerRunnerClosedError()
    // The task gets a signal of its own, so that whatever it leaves on it goes with it.
    const stop = new AbortController()
    const onAbort = () => stop.abort(call.signal.reason)
    call.signal.addEventListener('abort', onAbort, { once: true })
    this.#running.add(stop)
    const scope = this.#scope(handler.task, call, stop.signal)
    try {
      return await this.#execute(handler, input, scope.context)
    } catch (error) {
      // An aborted handler may throw anything on its way out.
      stop.signal.throwIfAborted()
      throw error
    } finally {
      scope.end()
      call.signal.removeEventListener('abort', onAbort)
      this.#running.delete(stop)
      stop.abort(new TaskError('The task has ended'))
    }
  }

  /** Aborts what runs, ends the threads, and waits until they are gone. Later calls are refused. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    for (const stop of this.#running) stop.abort(new HandlerRunnerClosedError())
    await this.#threads.close()
  }

  #handler(name: string): Handler {
    const handler = this.#find(name)
    if (handler === undefined) throw new UnknownHandlerError(name)
    return handler
  }

  #find(name: string): Handler | undefined {
    const handler = this.#registry.get(name)
    if (handler !== undefined || this.#unregistered === undefined) return handler
    return { task: this.#unregistered(name) }
  }

  /** A context that is good until `end`. Its functions stand alone, so that a handler can take it apart. */
  #scope(task: TaskDefinition, call: HandlerCall, signal: AbortSignal) {
    const request = this.#request
    const progress = new ProgressReporter(task.totalSteps, call.onProgress)
    let hasEnded = false
    const context: TaskContext = {
      taskId: call.taskId,
      attempt: call.attempt,
      signal,
      log: call.log,
      ...(this.#sampleUrl === undefined ? {} : { sampleUrl: this.#sampleUrl }),
      progress: (report) => {
        if (!hasEnded && !signal.aborted) progress.report(report)
      },
      request: async (options) => {
        signal.throwIfAborted()
        return await request(options, { signal })
      },
    }
    const end = () => {
      hasEnded = true
    }
    return { context, end }
  }

  async #execute({ task, module }: Handler, input: unknown, context: TaskContext): Promise<JsonValue> {
    if (task.cpuBound && module !== undefined) return await this.#threads.run(module, input, context)
    const result = (await untilAborted(context.signal, () => task.run(context, input))) ?? null
    assertJson(result)
    return result
  }
}

/** The work's outcome, or the signal's reason as soon as it is aborted: a handler that does not listen holds up nobody. */
function untilAborted(signal: AbortSignal, work: () => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = (async () => work())()
    settled.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
