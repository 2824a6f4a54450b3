import { COMPLETE, isTaskErrorCode, type RunEvents, type TaskFailure } from '@tributary/protocol'
import type { Run, RunOutcome, RunWork } from '@tributary/runs'
import { type Source, SourceError, type SourceEvent } from './source.ts'

/**
 * The work of a run that reads streams: all at once, each in its order, until every one has ended. One that
 * fails or ends is told, and the others go on.
 */
export function readSources(sources: readonly Source[], maxEventBytes: number): RunWork {
  return async (run) => {
    const errors: TaskFailure[] = []
    let successCount = 0
    await Promise.all(
      sources.map(async (source) => {
        const failure = await readSource(source, run, maxEventBytes)
        if (failure === undefined) successCount += 1
        else errors.push(failure)
        run.count({ successCount, errorCount: errors.length })
      }),
    )
    return {
      totalTasks: sources.length,
      successCount,
      errorCount: errors.length,
      errors,
    } satisfies RunOutcome
  }
}

/** Reads one source to its end. Answers how it failed, where it did. */
async function readSource(source: Source, run: Run, maxEventBytes: number): Promise<TaskFailure | undefined> {
  const { name } = source
  let completed: RunEvents['source_complete'] = { source: name }
  try {
    for await (const event of source.read(run.signal)) {
      if (event.type === COMPLETE) completed = { ...objectOf(event.data), source: name }
      else await append(run, event, name, maxEventBytes)
    }
    await run.emit('source_complete', completed)
    return undefined
  } catch (error) {
    // Not awaited: a cancel is told at once, however long the other side takes over it.
    if (run.signal.aborted) void source.cancel().catch(() => undefined)
    const { code, message } = run.signal.aborted
      ? new SourceError(run.signal.reason.code, run.signal.reason.message, error)
      : SourceError.from(error)
    await run.emit('source_error', { source: name, error: message, code })
    return { taskId: name, error: message, code: taskCode(code) }
  }
}

async function append(
  run: Run,
  { type, data }: SourceEvent,
  source: string,
  maxEventBytes: number,
): Promise<void> {
  const tagged = tag(data, source)
  if (Buffer.byteLength(JSON.stringify(tagged)) > maxEventBytes) {
    throw new SourceError('event_too_large', `An event of more than ${maxEventBytes} bytes`, undefined)
  }
  await run.append({ type, data: tagged, source })
}

/** Puts the source's name into an event's data. An object gets the key; anything else becomes an object. */
function tag(data: unknown, source: string): Record<string, unknown> {
  return isObject(data) ? { ...data, source } : { source, data }
}

function objectOf(data: unknown): Record<string, unknown> {
  return isObject(data) ? data : {}
}

function isObject(data: unknown): data is Record<string, unknown> {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
}

/** A source counts as a task of its run; a failure that is no task's is one of its upstream. */
function taskCode(code: SourceError['code']): TaskFailure['code'] {
  return isTaskErrorCode(code) ? code : 'task_failed'
}
