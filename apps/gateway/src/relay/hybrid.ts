import { type Clock, COMPLETE, isTaskErrorCode, type RunEvents, type RunEventType } from '@tributary/protocol'
import {
  type HandlerRunner,
  type PlannedNamedTask,
  type Run,
  RunAbort,
  type RunWork,
  runNamedTask,
  TaskBoard,
  type TaskLog,
} from '@tributary/runs'
import pLimit from 'p-limit'
import { type Source, SourceError } from './source.ts'

/** The `source` of what each side does. */
const LOCAL = 'gateway'
const REMOTE = 'worker'

export interface HybridPlan {
  readonly local: readonly PlannedNamedTask[]
  /** The tasks that the worker runs, as their readers know them. */
  readonly remote: readonly { readonly id: string; readonly name: string }[]
  /** Local tasks at a time. */
  readonly concurrency: number
  readonly failFast: boolean
}

export interface HybridServices {
  readonly handlers: HandlerRunner
  readonly clock: Clock
  readonly log: TaskLog
  readonly maxEventBytes: number
}

/** The work of a run whose tasks are partly run here, partly by a worker: one board holds them all. */
export function runHybrid(plan: HybridPlan, remote: Source | undefined, services: HybridServices): RunWork {
  return async (run) => {
    const { clock, maxEventBytes } = services
    const tasks = [
      ...plan.local.map(({ id, name }) => ({ id, name, source: LOCAL })),
      ...plan.remote.map(({ id, name }) => ({ id, name, source: REMOTE })),
    ]
    const board = new TaskBoard(run, tasks, { clock, maxEventBytes, tagSource: true })
    const stop = new AbortController()
    const end = (reason: RunAbort) => {
      board.failRest(reason.message, reason.code)
      stop.abort(reason)
    }
    const onAbort = () => end(run.signal.reason)
    run.signal.addEventListener('abort', onAbort, { once: true })
    if (run.signal.aborted) onAbort()
    const settled = (taskId: string) => {
      if (!plan.failFast || !board.hasFailed(taskId)) return
      end(RunAbort.cancelled(`Task ${JSON.stringify(taskId)} failed, and the run fails fast`))
    }
    const local = runLocal(plan, board, stop.signal, settled, services)
    const far =
      remote === undefined ? Promise.resolve() : readRemote(remote, run, board, stop.signal, settled)
    await Promise.all([local, far])
    run.signal.removeEventListener('abort', onAbort)
    return board.finish()
  }
}

async function runLocal(
  { local, concurrency }: HybridPlan,
  board: TaskBoard,
  signal: AbortSignal,
  settled: (taskId: string) => void,
  services: HybridServices,
): Promise<void> {
  const limit = pLimit(concurrency)
  await limit.map(local, async (task) => {
    if (signal.aborted) return
    await runNamedTask(task, { board, signal, ...services })
    settled(task.id)
  })
}

/** Notes on the board what the worker's run says of its tasks. Its own summary is swallowed: ours counts all. */
async function readRemote(
  remote: Source,
  run: Run,
  board: TaskBoard,
  signal: AbortSignal,
  settled: (taskId: string) => void,
): Promise<void> {
  try {
    for await (const { type, data } of remote.read(signal)) {
      if (type === COMPLETE) break
      settled(note(board, type, data))
    }
    board.failRestOf(REMOTE, 'The worker ended without a word of this task', 'worker_lost')
  } catch (error) {
    if (signal.aborted) {
      // Not awaited: a cancel is told at once, however long the other side takes over it.
      void remote.cancel().catch(() => undefined)
      return
    }
    const failure = SourceError.from(error)
    const code = isTaskErrorCode(failure.code) ? failure.code : 'worker_lost'
    await run.emit('source_error', { source: REMOTE, error: failure.message, code })
    board.failRestOf(REMOTE, failure.message, 'worker_lost')
  }
}

/** Answers the task that the event was of; empty where it was of none. */
function note(board: TaskBoard, type: string, data: unknown): string {
  if (is('task_start', type, data)) board.start(data.taskId, data.attempt)
  else if (is('task_progress', type, data)) board.progress(data.taskId, data)
  else if (is('task_retry', type, data)) board.retry(data.taskId, data.reason, data.delayMs)
  else if (is('task_complete', type, data)) board.complete(data.taskId, data.result)
  else if (is('task_error', type, data)) board.fail(data.taskId, data.error, data.code)
  else return ''
  return data.taskId
}

/** The worker is one of ours and speaks the protocol; that it names a task is what has to hold. */
function is<T extends RunEventType>(
  wanted: T,
  type: string,
  data: unknown,
): data is RunEvents[T] & { taskId: string } {
  return (
    type === wanted &&
    typeof data === 'object' &&
    data !== null &&
    'taskId' in data &&
    typeof data.taskId === 'string'
  )
}
