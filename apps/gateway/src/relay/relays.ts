import { createHash } from 'node:crypto'
import type { EventLog, ReadableLog } from '@tributary/eventlog'
import type {
  Clock,
  HybridRequest,
  MergeRequest,
  ParallelTasksRequest,
  RelayRequest,
  RunStatus,
  RunView,
} from '@tributary/protocol'
import type { KnownRun, RunRegistry } from '@tributary/runs'
import type { Asker } from '@tributary/service'
import type { OwnRun, OwnRuns } from './own-runs.ts'
import type { RemoteRuns } from './remote-runs.ts'
import type { RunMirror } from './run-mirror.ts'
import type { RunMirrors } from './run-mirrors.ts'
import { relaySpec, tasksOf } from './source-spec.ts'
import type { StartRequest, WorkerPool } from './worker-pool.ts'

/** A run that can be read here: one of this gateway, or a worker's through its mirror. */
export type ReadableRun =
  | { readonly kind: 'own'; readonly runId: string; readonly log: EventLog; readonly run: KnownRun }
  | {
      readonly kind: 'mirrored'
      readonly runId: string
      readonly log: ReadableLog
      readonly mirror: RunMirror
    }

/** Who asks for a run, and with which key, if it is to be started once. */
export interface Asked extends Asker {
  /** Of the user's own choice, 1 to 255 characters. */
  readonly idempotencyKey?: string | undefined
}

/** A run that was asked for. */
export interface StartedRun {
  readonly run: ReadableRun
  readonly status: RunStatus
  /** Whether an earlier request with the same key started it. */
  readonly replayed: boolean
}

export interface RelaysOptions {
  readonly pool: WorkerPool
  readonly remoteRuns: RemoteRuns
  readonly mirrors: RunMirrors
  readonly runs: RunRegistry
  readonly ownRuns: OwnRuns
  readonly clock: Clock
  readonly allowedOrigins: ReadonlySet<string>
  /** How long an idempotency key is remembered, in ms. */
  readonly onceWindowMs: number
}

/** What the gateway does with streams and tasks of others; the same from code as over HTTP. */
export class Relays {
  readonly #options: RelaysOptions

  constructor(options: RelaysOptions) {
    this.#options = options
  }

  /** Runs tasks on a worker. The run and its ids are the worker's. @throws ProblemError */
  parallelTasks(request: ParallelTasksRequest, asked: Asked): Promise<StartedRun> {
    const view = {
      kind: 'parallel-tasks',
      startedAt: this.#options.clock.now(),
      totalTasks: request.tasks.length,
      successCount: 0,
      errorCount: 0,
    } as const
    return this.#onWorker(tasksOf(request), asked, view)
  }

  /** Starts what a GET of a worker starts. @throws ProblemError */
  startOnWorker(path: string, asked: Asked): Promise<StartedRun> {
    return this.#onWorker({ path, request: {} }, asked)
  }

  /**
   * Relays one stream: a worker's run under its own ids, or a foreign stream with a log of its own here.
   *
   * @throws ProblemError `invalid_endpoint`, `origin_refused`; `forbidden` where the run is somebody else's; what the
   *   worker refuses.
   */
  async relay(request: RelayRequest, asked: Asked): Promise<StartedRun> {
    const spec = relaySpec(request, this.#options.allowedOrigins)
    if (spec.kind === 'foreign') return this.#own(this.#options.ownRuns.relay(request, asked), asked)
    if (spec.start !== undefined) return this.#onWorker(spec.start, asked)
    const mirror = await this.#options.mirrors.find(spec.runId, asked)
    return { run: readable(mirror), status: mirror.log.closed ? 'succeeded' : 'running', replayed: false }
  }

  /**
   * Merges several streams into one run.
   *
   * @throws ProblemError `invalid_endpoint`, `origin_refused`, `duplicate_source`; `upstream_unavailable` where
   *   none of the sources can be begun for lack of a worker; `idempotency_conflict`.
   */
  async merge(request: MergeRequest, asked: Asked): Promise<StartedRun> {
    return this.#own(this.#options.ownRuns.merge(request, asked), asked)
  }

  /** Runs local and remote tasks as one run. @throws ProblemError that names the task; `idempotency_conflict`. */
  async hybrid(request: HybridRequest, asked: Asked): Promise<StartedRun> {
    return this.#own(this.#options.ownRuns.hybrid(request, asked), asked)
  }

  async #onWorker(
    request: StartRequest,
    { userId, roles, idempotencyKey }: Asked,
    view?: Omit<RunView, 'runId' | 'status' | 'userId'>,
  ): Promise<StartedRun> {
    const { pool, remoteRuns, mirrors } = this.#options
    const asker = { userId, roles }
    const start = { ...request, as: asker }
    const placed =
      idempotencyKey === undefined
        ? await pool.start(start)
        : await pool.startOnce(start, scopedKey(userId, idempotencyKey))
    const { runId, worker, status, replayed } = placed
    remoteRuns.noteStarted(placed, asker, replayed ? undefined : view)
    return { run: readable(mirrors.of(runId, worker)), status, replayed }
  }

  /** Starts a run of this gateway. */
  async #own(own: OwnRun, { userId, idempotencyKey }: Asked): Promise<StartedRun> {
    const { runs, onceWindowMs } = this.#options
    const { prepare, abandon, work } = own
    const start = { ...own.start, userId, prepare, abandon }
    if (idempotencyKey === undefined) return ownRun(await runs.submit(start, work), false)
    const fingerprint = hashOf(own.start.kind, JSON.stringify(own.start.request))
    const once = { key: scopedKey(userId, idempotencyKey), fingerprint, windowMs: onceWindowMs }
    const { run, replayed } = await runs.startOnce(once, start, work)
    return ownRun(run, replayed)
  }
}

async function ownRun(run: KnownRun, replayed: boolean): Promise<StartedRun> {
  const { id: runId, status } = run
  return { run: { kind: 'own', runId, log: await run.openLog(), run }, status, replayed }
}

function readable(mirror: RunMirror): ReadableRun {
  return { kind: 'mirrored', runId: mirror.runId, log: mirror.log, mirror }
}

/** A user's key as workers and logs know it: apart from the same key of another user. */
function scopedKey(userId: string, key: string): string {
  return hashOf(userId, key)
}

function hashOf(...texts: string[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64url')
}
