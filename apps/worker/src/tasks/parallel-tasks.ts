import {
  DEFAULT_MAX_RESULT_BYTES,
  ParallelTasksRequest,
  ProblemError,
  sensitiveHeaders,
} from '@tributary/protocol'
import { holdCredentials, type RunWork, type StartOptions, withholdCredentials } from '@tributary/runs'
import { messageFirst } from '@tributary/service'
import { Compile } from 'typebox/compile'
import type { WorkerConfig } from '../config.ts'
import { runTasks, type TaskServices } from './run-tasks.ts'
import { planTasks, replanTasks } from './task-plan.ts'

/** What parallel tasks take of the worker. */
export interface ParallelTasksDeps
  extends Pick<TaskServices, 'client' | 'secrets' | 'handlers' | 'scheduler' | 'clock' | 'random'> {
  readonly logger: Parameters<typeof messageFirst>[0]
  readonly config: Pick<
    WorkerConfig,
    | 'TASK_CONCURRENCY'
    | 'TASK_CONCURRENCY_MAX'
    | 'MAX_TASKS'
    | 'TASK_TIMEOUT_MS'
    | 'TASK_MAX_BODY_BYTES'
    | 'MAX_EVENT_BYTES'
    | 'SENSITIVE_HEADERS'
  >
}

/** A run of parallel tasks that has been decided, and has not begun. */
export interface PlannedRun {
  readonly start: Omit<StartOptions, 'userId'>
  readonly work: RunWork
  /** The registered tasks that it names. */
  readonly handlers?: readonly string[]
}

/** @throws ProblemError where the request cannot be run; it names the task. */
export function planParallelTasks(body: ParallelTasksRequest, deps: ParallelTasksDeps): PlannedRun {
  const { config, handlers } = deps
  const { TASK_CONCURRENCY, TASK_CONCURRENCY_MAX, MAX_TASKS, TASK_TIMEOUT_MS } = config
  const { deadlineMs, onDisconnect } = body
  const concurrency = body.concurrency ?? Math.min(TASK_CONCURRENCY, TASK_CONCURRENCY_MAX)
  if (concurrency > TASK_CONCURRENCY_MAX) {
    const message = `must be at most ${TASK_CONCURRENCY_MAX}`
    throw new ProblemError('invalid_request', `"concurrency" ${message}.`, {
      errors: [{ path: 'body/concurrency', message }],
    })
  }
  const tasks = planTasks(body.tasks, { maxTasks: MAX_TASKS, defaultTimeoutMs: TASK_TIMEOUT_MS, handlers })
  const sensitive = sensitiveHeaders(config.SENSITIVE_HEADERS)
  const request: ParallelTasksRequest = {
    ...body,
    tasks: withholdCredentials(body.tasks, sensitive),
    concurrency,
  }
  return {
    start: {
      kind: 'parallel-tasks',
      totalTasks: tasks.length,
      deadlineMs,
      onDisconnect,
      request,
      anywhere: !holdCredentials(body.tasks, sensitive),
    },
    work: runTasks(tasks, optionsOf(request, concurrency), servicesOf(deps)),
    handlers: tasks.flatMap((task) => (task.kind === 'named' ? [task.name] : [])),
  }
}

const stored = Compile(ParallelTasksRequest)

/** The registered tasks that a stored request names; none where it is no request. */
export function handlersOf(request: unknown): string[] {
  if (!stored.Check(request)) return []
  return request.tasks.flatMap((task) => {
    if (typeof task === 'string') return [task]
    return 'url' in task ? [] : [task.name]
  })
}

/**
 * The work of such a run that an earlier process began. A task that is refused now fails; the others go on.
 *
 * @throws ProblemError `invalid_request` where the request is none any more.
 */
export function resumeParallelTasks(request: unknown, deps: ParallelTasksDeps): RunWork {
  if (!stored.Check(request)) {
    throw new ProblemError('invalid_request', 'What the run was asked for cannot be read any more')
  }
  const { config, handlers } = deps
  const tasks = replanTasks(request.tasks, { defaultTimeoutMs: config.TASK_TIMEOUT_MS, handlers })
  const { concurrency = config.TASK_CONCURRENCY } = request
  return runTasks(
    tasks,
    optionsOf(request, Math.min(concurrency, config.TASK_CONCURRENCY_MAX)),
    servicesOf(deps),
  )
}

function optionsOf(
  { failFast = false, maxResultBytes = DEFAULT_MAX_RESULT_BYTES }: ParallelTasksRequest,
  concurrency: number,
) {
  return { concurrency, failFast, maxResultBytes }
}

function servicesOf({ config, logger, ...deps }: ParallelTasksDeps): TaskServices {
  const { client, secrets, handlers, scheduler, clock, random } = deps
  return {
    client,
    secrets,
    handlers,
    scheduler,
    clock,
    random,
    log: messageFirst(logger),
    maxBodyBytes: config.TASK_MAX_BODY_BYTES,
    maxEventBytes: config.MAX_EVENT_BYTES,
  }
}
