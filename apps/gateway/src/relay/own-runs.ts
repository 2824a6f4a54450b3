import type { EventLog } from '@tributary/eventlog'
import {
  type Clock,
  HybridRequest,
  MergeRequest,
  type ParallelTasksRequest,
  ProblemError,
  RelayRequest,
  type RunKind,
} from '@tributary/protocol'
import {
  type HandlerRunner,
  type KnownRun,
  type Run,
  type RunWork,
  readRunPast,
  type StartOptions,
  TaskBoard,
  type TaskLog,
  withholdCredentials,
} from '@tributary/runs'
import type { Asker } from '@tributary/service'
import type { LogStream } from '@tributary/sse'
import { Value } from 'typebox/value'
import { runHybrid } from './hybrid.ts'
import { planHybrid } from './hybrid-plan.ts'
import { type AwayNotes, RunReaders } from './run-readers.ts'
import { followAway, SharedAway } from './shared-away.ts'
import type { SourceBuilder } from './source-builder.ts'
import type { RecordedSource } from './source-record.ts'
import { readSources } from './source-run.ts'
import { mergeSpecs, relaySpec, type SourceSpec, tasksOf } from './source-spec.ts'

/** A run of this gateway that can be started. */
export interface OwnRun {
  readonly start: Omit<StartOptions, 'userId' | 'prepare' | 'abandon'>
  /** Begins what has to be there before the run is accepted. @throws ProblemError */
  readonly prepare: (run: Run) => Promise<void>
  readonly work: RunWork
  /** Ends what was begun for it elsewhere, where it was not accepted after all and nobody goes on with it. */
  readonly abandon: () => Promise<void>
}

export interface OwnRunsOptions {
  readonly sources: SourceBuilder
  readonly handlers: HandlerRunner
  readonly clock: Clock
  readonly log: TaskLog
  readonly allowedOrigins: ReadonlySet<string>
  readonly maxEventBytes: number
  readonly maxTasks: number
  readonly taskTimeoutMs: number
  /** Local tasks of a run at a time, by default and at most. */
  readonly concurrency: number
  readonly maxConcurrency: number
  /** Whether runs are read at other gateways, too. */
  readonly clustered: boolean
  /** Headers whose literal values are not stored, in lower case. */
  readonly sensitiveHeaders: ReadonlySet<string>
}

/** The runs that are this gateway's own, made from their requests: when they are asked for, and after a restart again. */
export class OwnRuns {
  readonly #options: OwnRunsOptions
  readonly #readers = new WeakMap<KnownRun, RunReaders>()

  constructor(options: OwnRunsOptions) {
    this.#options = options
  }

  /** Notes a stream that reads a run here: it is told which of the run's sources are away. */
  attach(run: KnownRun, log: EventLog, stream: LogStream): void {
    if (this.#options.clustered) followAway(log, stream)
    else this.#readersOf(run).attach(stream)
  }

  /** Who is told where a source of a run is away that is executed here. */
  #tellers(run: Run): AwayNotes {
    return this.#options.clustered ? new SharedAway(run) : this.#readersOf(run)
  }

  #readersOf(run: KnownRun): RunReaders {
    let readers = this.#readers.get(run)
    if (readers === undefined) {
      readers = new RunReaders()
      this.#readers.set(run, readers)
    }
    return readers
  }

  /** Makes the work of a run that an earlier process began. One that cannot be gone on with fails, and says why. */
  resume({ kind, userId }: Run, request: unknown): RunWork {
    try {
      // What may be read is checked again by who it is; what roles he had is not known any more.
      return this.#of(kind, request, { userId, roles: [] }).work
    } catch (error) {
      return (run) => this.#fail(run, error)
    }
  }

  #of(kind: RunKind, request: unknown, asker: Asker): OwnRun {
    if (kind === 'relay' && Value.Check(RelayRequest, request)) return this.relay(request, asker)
    if (kind === 'merge' && Value.Check(MergeRequest, request)) return this.merge(request, asker)
    if (kind === 'hybrid' && Value.Check(HybridRequest, request)) return this.hybrid(request, asker)
    throw new ProblemError('internal_error', `What this ${kind} was asked for cannot be read any more`)
  }

  /** Relays one foreign stream. @throws ProblemError `invalid_endpoint`, `origin_refused`. */
  relay(request: RelayRequest, asker: Asker): OwnRun {
    const spec = relaySpec(request, this.#options.allowedOrigins)
    return this.#reading({ kind: 'relay', totalTasks: 1, request }, [spec], asker)
  }

  /** Merges streams. @throws ProblemError `invalid_endpoint`, `origin_refused`, `duplicate_source`. */
  merge(request: MergeRequest, asker: Asker): OwnRun {
    const specs = mergeSpecs(request, this.#options.allowedOrigins)
    return this.#reading({ kind: 'merge', totalTasks: specs.length, request }, specs, asker)
  }

  /** Runs local and remote tasks. @throws ProblemError that names the task. */
  hybrid(request: HybridRequest, asker: Asker): OwnRun {
    const { sources, handlers, clock, log, maxEventBytes, maxTasks, taskTimeoutMs, maxConcurrency } =
      this.#options
    const { localTasks: _local, remoteTasks: _remote, deadlineMs, onDisconnect, ...limits } = request
    const { concurrency = Math.min(this.#options.concurrency, maxConcurrency), failFast = false } = limits
    if (concurrency > maxConcurrency) throw tooConcurrent(maxConcurrency)
    const plan = planHybrid(request, { maxTasks, defaultTimeoutMs: taskTimeoutMs, handlers })
    const tasks: ParallelTasksRequest = { tasks: [...plan.remote], ...limits }
    const spec = { kind: 'worker', name: 'worker', start: tasksOf(tasks) } as const
    const remoteOf = once((run: Run) =>
      plan.remote.length === 0 ? [] : [sources.build(run, 0, spec, asker)],
    )
    return {
      start: {
        kind: 'hybrid',
        totalTasks: plan.local.length + plan.remote.length,
        request: this.#stored(request),
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
        ...(onDisconnect === undefined ? {} : { onDisconnect }),
      },
      async prepare(run) {
        await Promise.all(remoteOf(run).map(({ source }) => source.begin())).catch(throwInRemoteTasks)
      },
      work: (run) => {
        const services = { handlers, clock, log, maxEventBytes, readers: this.#tellers(run) }
        return runHybrid(run, { ...plan, concurrency, failFast }, remoteOf(run)[0], services)
      },
      abandon: () => cancelAll(remoteOf.made()),
    }
  }

  /** What is stored of a request: the worker would have to be asked without its credentials, and says so of each task. */
  #stored(request: HybridRequest): HybridRequest {
    if (request.remoteTasks === undefined) return request
    const remoteTasks = withholdCredentials(request.remoteTasks, this.#options.sensitiveHeaders)
    return { ...request, remoteTasks }
  }

  /** Gives the tasks that had begun their final states, and fails the run. */
  async #fail(run: Run, error: unknown): Promise<never> {
    const { clock, maxEventBytes } = this.#options
    const past = await readRunPast(run.log, { clock, end: run.suspended })
    const tasks = [...past.tasks.keys()].map((id) => ({ id, name: id, source: 'gateway' }))
    // Kept by the run, which settles them.
    if (tasks.length > 0) new TaskBoard(run, tasks, { clock, maxEventBytes, past, tagSource: true })
    throw error
  }

  #reading(start: OwnRun['start'], specs: readonly SourceSpec[], asker: Asker): OwnRun {
    const { sources, maxEventBytes } = this.#options
    const sourcesOf = once((run: Run) => specs.map((spec, index) => sources.build(run, index, spec, asker)))
    return {
      start,
      prepare: (run) => beginAny(sourcesOf(run)),
      work: (run) => readSources(run, sourcesOf(run), { maxEventBytes, readers: this.#tellers(run) }),
      abandon: () => cancelAll(sourcesOf.made()),
    }
  }
}

/** Begins what there is to begin. One that fails is told in the run, unless none can be begun for lack of a worker. */
async function beginAny(sources: readonly RecordedSource[]): Promise<void> {
  const begun = await Promise.allSettled(sources.map(({ source }) => source.begin()))
  const failures = begun.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
  const isUnavailable = (error: unknown) =>
    error instanceof ProblemError && error.code === 'upstream_unavailable'
  if (failures.length === begun.length && failures.every(isUnavailable)) throw failures[0]
}

async function cancelAll(sources: readonly RecordedSource[]): Promise<void> {
  await Promise.allSettled(sources.map(({ source }) => source.cancel()))
}

/** Makes the sources of a run on the first call; `made` answers them, or none. */
function once(make: (run: Run) => readonly RecordedSource[]) {
  let sources: readonly RecordedSource[] | undefined
  const get = (run: Run) => {
    sources ??= make(run)
    return sources
  }
  return Object.assign(get, { made: () => sources ?? [] })
}

function tooConcurrent(max: number): ProblemError {
  const message = `must be at most ${max}`
  return new ProblemError('invalid_request', `"concurrency" ${message}.`, {
    errors: [{ path: 'body/concurrency', message }],
  })
}

/** The worker calls them `tasks`; here they came as `remoteTasks`. */
function throwInRemoteTasks(error: unknown): never {
  if (!(error instanceof ProblemError)) throw error
  const errors = error.errors?.map((each) => ({
    ...each,
    path: each.path.replace(/^body\/tasks\b/, 'body/remoteTasks'),
  }))
  const retry = error.retryAfterS === undefined ? {} : { retryAfterS: error.retryAfterS }
  throw new ProblemError(error.code, error.message, {
    cause: error,
    ...(errors === undefined ? {} : { errors }),
    ...retry,
  })
}
