import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { TaskContext } from './define-task.ts'
import { RemoteError } from './error-data.ts'
import { ThreadLostError, ThreadQueueFullError } from './handler-error.ts'
import type { JsonValue } from './json-value.ts'
import { ThreadChannel } from './thread-channel.ts'
import type { HandlerModule, ThreadJob, ThreadOutcome } from './thread-message.ts'
import { ThreadSlots } from './thread-slots.ts'

export interface ThreadPoolOptions {
  /** Default: one less than there are cores, at least 1. */
  readonly maxThreads?: number
  /** Tasks that wait for a thread; the next is refused. Default 256. */
  readonly maxQueue?: number
  /** How long a thread without work is kept. Default 10 s. */
  readonly idleTimeoutMs?: number
  /**
   * The most heap of a thread, in MiB; past it the thread and its task are lost. Default 512. Buffers and typed arrays
   * do not count. V8 stops a thread at its next check, not in the middle of an allocation: one that outruns the check
   * ends the process. So this is a net for mistakes, and no fence around code that is not trusted.
   */
  readonly maxHeapMib?: number
  /** Node options of a thread. Default: those of this process, so that what loads here loads there. */
  readonly execArgv?: readonly string[]
}

const DEFAULT_MAX_QUEUE = 256
const DEFAULT_IDLE_TIMEOUT_MS = 10_000
const DEFAULT_MAX_HEAP_MIB = 512
/**
 * The young part of a thread's heap. Small, because it can move to the old part all at once: with V8's own default that
 * leaps past the limit and what is left above it, and then the whole process aborts in place of the thread.
 */
const YOUNG_HEAP_MIB = 4

/** `thread-entry.ts` beside this file, or `thread-entry.js` once built. */
const ENTRY_FILE = fileURLToPath(new URL(`./thread-entry${extname(import.meta.url)}`, import.meta.url))
const ENTRY_NAME = 'runThreadJob'

/**
 * Threads for tasks that compute.
 *
 * Piscina keeps the threads. The queue is ours: Piscina does not bound that of tasks which can be aborted, and gives
 * those in it no new thread when the one they wait for is ended.
 */
export class ThreadPool {
  readonly #pool: Piscina<ThreadJob, ThreadOutcome>
  readonly #slots: ThreadSlots
  readonly #maxThreads: number
  readonly #maxQueue: number
  /** Threads that have not exited, also those that the pool has let go of. */
  readonly #threads = new Set<Worker>()
  /** How to give up each task that was handed to the pool. */
  readonly #handedOver = new Map<ThreadChannel, AbortController>()

  constructor(options: ThreadPoolOptions = {}) {
    this.#maxThreads = options.maxThreads ?? Math.max(1, availableParallelism() - 1)
    this.#maxQueue = options.maxQueue ?? DEFAULT_MAX_QUEUE
    this.#slots = new ThreadSlots(this.#maxThreads, this.#maxQueue)
    this.#pool = new Piscina<ThreadJob, ThreadOutcome>({
      minThreads: 0,
      maxThreads: this.#maxThreads,
      idleTimeout: options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
      resourceLimits: {
        maxOldGenerationSizeMb: options.maxHeapMib ?? DEFAULT_MAX_HEAP_MIB,
        maxYoungGenerationSizeMb: YOUNG_HEAP_MIB,
      },
      ...(options.execArgv === undefined ? {} : { execArgv: [...options.execArgv] }),
    })
    this.#pool.on('workerCreate', () => this.#trackThreads())
    this.#pool.on('error', (cause: unknown) => this.#giveUpStarting(cause))
  }

  /**
   * Runs one task, whose context is served from here.
   *
   * @throws ThreadQueueFullError, ThreadLostError, what the task throws (as a `RemoteError`), or the reason of the
   * context's signal, on whose abort the thread is ended at once.
   */
  async run(module: HandlerModule, input: unknown, context: TaskContext): Promise<JsonValue> {
    const release = await this.#slots.acquire(
      context.signal,
      () => new ThreadQueueFullError(this.#maxThreads, this.#maxQueue),
    )
    const channel = new ThreadChannel(context)
    try {
      const outcome = await this.#runInThread(
        channel,
        {
          module,
          input,
          taskId: context.taskId,
          attempt: context.attempt,
          ...(context.sampleUrl === undefined ? {} : { sampleUrl: context.sampleUrl }),
          port: channel.remotePort,
          unread: channel.unread,
        },
        context.signal,
      )
      if (outcome.ok) return outcome.result
      throw new RemoteError(outcome.error)
    } finally {
      channel.close()
      release()
    }
  }

  /** Ends all threads, with what they run, and waits until they are gone. */
  async close(): Promise<void> {
    this.#trackThreads()
    const exits = [...this.#threads].map((thread) => once(thread, 'exit'))
    await this.#pool.destroy()
    await Promise.allSettled(exits)
  }

  async #runInThread(channel: ThreadChannel, job: ThreadJob, signal: AbortSignal): Promise<ThreadOutcome> {
    const giveUp = new AbortController()
    this.#handedOver.set(channel, giveUp)
    try {
      const outcome = await this.#pool.run(job, {
        filename: ENTRY_FILE,
        name: ENTRY_NAME,
        transferList: [channel.remotePort],
        signal: AbortSignal.any([signal, giveUp.signal]),
      })
      channel.drain()
      return outcome
    } catch (cause) {
      signal.throwIfAborted()
      giveUp.signal.throwIfAborted()
      channel.drain()
      throw new ThreadLostError(`The thread was lost: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      })
    } finally {
      this.#handedOver.delete(channel)
    }
  }

  #trackThreads(): void {
    for (const thread of this.#pool.threads) {
      if (this.#threads.has(thread)) continue
      this.#threads.add(thread)
      thread.once('exit', () => this.#threads.delete(thread))
    }
  }

  /** A thread that fails while it starts has no task yet, and Piscina would let the one it was for wait for ever. */
  #giveUpStarting(cause: unknown): void {
    for (const [channel, giveUp] of this.#handedOver) {
      channel.drain()
      if (!channel.isStarted) giveUp.abort(new ThreadLostError('No thread could be started', { cause }))
    }
  }
}
