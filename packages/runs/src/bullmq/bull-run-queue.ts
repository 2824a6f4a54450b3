import { type Clock, systemClock } from '@tributary/protocol'
import type { RedisClient, RedisConnections } from '@tributary/redis'
import { DelayedError, type Job, type JobsOptions, Queue, WaitingError, Worker } from 'bullmq'
import { RunElsewhereError } from '../run-error.ts'
import type { ExecuteRun, QueuedRun, RunHold, RunQueue, RunRest } from '../run-queue.ts'
import { HeldJob } from './held-job.ts'
import { LateJobs } from './late-jobs.ts'
import { runQueueKeys } from './redis-keys.ts'
import { RunOwners } from './run-owners.ts'
import { UserTurns } from './user-turns.ts'

/** How long a node may say nothing before its runs go to others, in ms. */
export const DEFAULT_RUN_LOCK_MS = 8_000
export const DEFAULT_RUNS_CONCURRENCY = 64

/** How often locks that have ended are looked for, as a part of the lock: what is found so is late by as much. */
const STALLED_CHECKS = 4
/** A run may be taken over, and fail to be, as often as it takes. */
const ANY_NUMBER = 1_000_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000
/** How long a run stays away that its node leaves to another, in ms. It may come to the same again: never longer. */
const ELSEWHERE_MS = 200

export interface BullRunQueueOptions {
  readonly redis: RedisConnections
  /** As `REDIS_PREFIX`. */
  readonly prefix: string
  /** One for each service: whose nodes can execute the same runs. */
  readonly name: string
  /** Runs at a time that were waited for. Default 64. */
  readonly concurrency?: number
  /** How long a node may say nothing before its runs go to others, in ms. Default 8,000: then they do within 13 s. */
  readonly lockMs?: number
  /** Default: the machine's. */
  readonly clock?: Clock
  /** Told of what went wrong in the background, and is tried again. */
  readonly onError?: (error: unknown) => void
}

/**
 * Runs of many nodes, dispatched by BullMQ. A job is the id of a run and nothing else; it is there until the run has
 * ended. What a node holds and does not renew any more goes to another, by BullMQ's own look for stalled jobs.
 */
export class BullRunQueue implements RunQueue {
  readonly #options: BullRunQueueOptions
  readonly #queue: Queue
  readonly #worker: Worker
  readonly #turns: UserTurns
  readonly #owners: RunOwners
  readonly #lockMs: number
  readonly #clock: Clock
  /** Runs that are executed here by a job that is not this node's any more, as where Redis was away for too long. */
  readonly #unlocked = new Set<string>()
  readonly #held = new Set<Promise<void>>()
  readonly #late: LateJobs
  #taker: ExecuteRun | undefined
  #paused = false

  private constructor(options: BullRunQueueOptions, queue: Queue) {
    const { redis, prefix, name, concurrency = DEFAULT_RUNS_CONCURRENCY, clock = systemClock } = options
    const { lockMs = DEFAULT_RUN_LOCK_MS, onError = () => undefined } = options
    const keys = runQueueKeys(prefix, name)
    const { bullPrefix, turns } = keys
    this.#options = options
    this.#lockMs = lockMs
    this.#clock = clock
    this.#turns = new UserTurns(redis, turns)
    this.#owners = new RunOwners({ redis, keys, clock, leaseMs: lockMs })
    this.#queue = queue
    this.#worker = new Worker(name, (job, token) => this.#process(job, token), {
      connection: redis.createBlocking(`queue-${name}`),
      prefix: bullPrefix,
      autorun: false,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: lockMs / STALLED_CHECKS,
      maxStalledCount: ANY_NUMBER,
      runRetryDelay: FIRST_RETRY_MS,
      removeOnComplete: { count: 0 },
      settings: { backoffStrategy: retryDelayMs },
    })
    this.#worker.on('error', onError)
    this.#worker.on('lockRenewalFailed', (runIds) => {
      for (const runId of runIds) if (this.#owners.has(runId)) this.#unlocked.add(runId)
    })
    this.#late = new LateJobs({
      redis,
      keys,
      queue,
      clock,
      lockMs,
      longestMs: Math.max(LAST_RETRY_MS, lockMs),
    })
  }

  /** @throws RedisUnavailableError where Redis is away for longer than a moment. */
  static async open(options: BullRunQueueOptions): Promise<BullRunQueue> {
    // What is asked of the queue fails at once while Redis is away, as all commands do. One that was made then is of no use.
    const queue = await options.redis.call((connection) => readyQueue(connection, options), { again: true })
    return new BullRunQueue(options, queue)
  }

  async add(run: QueuedRun): Promise<void> {
    const priority = await this.#turns.take(run)
    await this.#addJob(run, { priority })
  }

  async hold(run: QueuedRun, execute: ExecuteRun): Promise<void> {
    const { runId } = run
    const isOurs = (await this.#owners.take(runId)) === 0
    try {
      await this.#addJob(run, { delay: this.#lockMs })
    } catch (error) {
      await this.#owners.release(runId)
      throw error
    }
    if (!isOurs) return
    const { redis } = this.#options
    const job = new HeldJob({
      runId,
      lost: this.#owners.lost(runId),
      queue: this.#queue,
      redis,
      clock: this.#clock,
      leaseMs: this.#lockMs,
    })
    const executing = this.#execute(job, execute)
    this.#held.add(executing)
    void executing.finally(() => this.#held.delete(executing))
  }

  take(execute: ExecuteRun): void {
    this.#taker = execute
    this.#late.start()
    this.#worker.run().catch((error: unknown) => this.#options.onError?.(error))
  }

  async hurry(run: QueuedRun): Promise<boolean> {
    const execute = this.#taker
    if (execute === undefined) return false
    const { redis } = this.#options
    const job = await redis.call(() => this.#queue.getJob(run.runId))
    const state = await job?.getState()
    if (job === undefined || (state !== 'prioritized' && state !== 'waiting')) return false
    const { runId } = run
    if (this.#owners.has(runId) || (await this.#owners.take(runId)) > 0) return false
    try {
      await job.remove()
    } catch {
      // A node took it in this moment.
      await this.#owners.release(runId)
      return false
    }
    await this.#turns.leave(runId, false)
    await this.hold(run, execute)
    return true
  }

  async missing(runIds: readonly string[]): Promise<readonly string[]> {
    const { redis } = this.#options
    const found = await redis.call((client) =>
      Promise.all(runIds.map((runId) => client.exists(this.#queue.toKey(runId)))),
    )
    return runIds.filter((_, n) => found[n] === 0)
  }

  unreachable(runIds: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#owners.unreachable(runIds)
  }

  mayBeReplaced(): boolean {
    return this.#owners.mayBeReplaced
  }

  async pause(): Promise<void> {
    this.#paused = true
    if (this.#taker !== undefined) await this.#worker.pause(true)
  }

  /** Waits for what is executed here; while Redis is away, for nothing of that. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { redis } = this.#options
    const away = Promise.withResolvers<void>()
    const unlisten = redis.onDown(() => away.resolve())
    // BullMQ would wait for Redis to take its leave of it. Forced, it waits for no job either: those are another node's.
    const isAway = redis.status.state === 'down'
    this.#late[Symbol.dispose]()
    await Promise.race([this.#worker.close(isAway), away.promise])
    unlisten()
    await Promise.all(this.#held)
    this.#owners[Symbol.dispose]()
    await this.#queue.close()
  }

  /** There is one job of a run, however often it is added: so it is tried again while Redis is away for a moment. */
  async #addJob({ runId }: QueuedRun, options: JobsOptions): Promise<void> {
    const job: JobsOptions = {
      jobId: runId,
      removeOnComplete: true,
      attempts: ANY_NUMBER,
      backoff: { type: 'custom' },
      stackTraceLimit: 0,
      ...options,
    }
    await this.#options.redis.call(() => this.#queue.add('run', {}, job), { again: true })
  }

  /** A run that waited for a node, or that another node does not go on with. */
  async #process(job: Job, token: string | undefined): Promise<void> {
    const { id: runId } = job
    if (runId === undefined || this.#taker === undefined) throw new Error('a job without an id, or a taker')
    if (this.#paused) {
      // It was asked for before.
      await job.moveToWait(token)
      throw new WaitingError()
    }
    const waitMs = await this.#mayTakeAfter(runId)
    if (waitMs > 0) {
      await job.moveToDelayed(this.#clock.now() + waitMs, token)
      throw new DelayedError()
    }
    const lost = this.#owners.lost(runId)
    const rest = await this.#taken(runId, this.#taker, lost).catch(async (error: unknown) => {
      if (!(error instanceof RunElsewhereError)) throw error
      await job.moveToDelayed(this.#clock.now() + ELSEWHERE_MS, token)
      throw new DelayedError()
    })
    if (!this.#unlocked.delete(runId) && !lost.aborted) {
      if (rest === 'ended') return
      await job.moveToWait(token)
    } else if (!lost.aborted) {
      // Its job waits for nobody now, or for another to see that the run has ended.
      await (rest === 'ended' ? job.remove() : job.promote()).catch(() => undefined)
    }
    throw new WaitingError()
  }

  /** In ms; 0: this node has the run. */
  async #mayTakeAfter(runId: string): Promise<number> {
    if (!this.#owners.has(runId)) return this.#owners.take(runId)
    // It is executed here still, though its job was lost: that comes back until it has ended.
    this.#unlocked.add(runId)
    return this.#lockMs
  }

  async #taken(runId: string, execute: ExecuteRun, lost: AbortSignal): Promise<RunRest> {
    try {
      await this.#turns.leave(runId, true)
      return await execute({ runId, lost })
    } finally {
      await this.#owners.release(runId)
    }
  }

  async #execute(job: HeldJob, execute: ExecuteRun): Promise<void> {
    const { onError = () => undefined } = this.#options
    const rest = await settled(job, execute)
    // Its job is the held one, whoever was given it meanwhile.
    this.#unlocked.delete(job.runId)
    await this.#owners.release(job.runId)
    if (rest === 'failed') onError(new Error(`The run ${job.runId} could not be executed here`))
    const resting = rest === 'ended' ? job.end() : job.giveBack(rest === 'failed' ? FIRST_RETRY_MS : 0)
    await resting.catch(onError)
  }
}

async function readyQueue(
  connection: RedisClient,
  { prefix, name, onError = () => undefined }: BullRunQueueOptions,
): Promise<Queue> {
  const queue = new Queue(name, { connection, prefix: runQueueKeys(prefix, name).bullPrefix })
  let isReady = false
  // What it is made in vain with is thrown.
  queue.on('error', (error) => isReady && onError(error))
  try {
    await queue.waitUntilReady()
    isReady = true
    return queue
  } catch (error) {
    await queue.close().catch(() => undefined)
    throw error
  }
}

async function settled(hold: RunHold, execute: ExecuteRun): Promise<RunRest | 'failed'> {
  try {
    return await execute(hold)
  } catch {
    return 'failed'
  }
}

function retryDelayMs(attemptsMade = 1): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(attemptsMade - 1, 10), LAST_RETRY_MS)
}
