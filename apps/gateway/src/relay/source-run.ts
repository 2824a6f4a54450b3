import { COMPLETE, type NewEvent, type RunEvents } from '@tributary/protocol'
import { type Attributes, type Run, RunAbort, type RunOutcome } from '@tributary/runs'
import type { AwayNotes } from './run-readers.ts'
import { type Source, SourceError, type SourceEvent } from './source.ts'
import { SourceEnds } from './source-ends.ts'
import type { RecordedSource, SourceRecord } from './source-record.ts'

/** While so many bytes of a source are on their way into the log, no more of it is read. */
const MAX_APPENDING_BYTES = 1_048_576

export interface ReadSourcesOptions {
  readonly maxEventBytes: number
  /** Who is told while a source is away. */
  readonly readers: AwayNotes
}

/**
 * Reads streams into a run: all at once, each in its order, until every one has ended. One that fails or ends is told,
 * and the others go on. Answers `undefined` where the run was drained before that.
 */
export async function readSources(
  run: Run,
  sources: readonly RecordedSource[],
  options: ReadSourcesOptions,
): Promise<RunOutcome | undefined> {
  const ends = new SourceEnds(run, sources)
  const read = await Promise.all(sources.map((each) => readSource(each, run, { ...options, ends })))
  return read.includes(false) ? undefined : ends.outcome
}

/** Reads one source to its end. Answers `false` where it is to be gone on with after a restart. */
async function readSource(
  { source, record }: RecordedSource,
  run: Run,
  { maxEventBytes, readers, ends }: ReadSourcesOptions & { readonly ends: SourceEnds },
): Promise<boolean> {
  // What an earlier process read to its end is not read again.
  if (ends.has(source)) return true
  const { name } = source
  const appends = new Appends()
  const stop = stopSignal(run, source)
  let completed: RunEvents['source_complete'] = { source: name }
  try {
    const onAway = (since: number | undefined) => readers.note(name, since)
    for await (const batch of source.read({ signal: stop.signal, progress: record, onAway })) {
      const last = batch.at(-1)
      const isEnd = last?.type === COMPLETE
      if (isEnd) completed = { ...objectOf(last.data), source: name }
      const said = isEnd ? batch.slice(0, -1) : batch
      const { events, bytes, attributes, failure } = taken(said, name, maxEventBytes, record)
      if (events.length > 0) await appends.add(run.appendAll(events, attributes), bytes)
      if (failure !== undefined) throw failure
    }
    await appends.all()
    await ends.complete(source, completed)
  } catch (error) {
    if (isSuspended(run)) return false
    // Not awaited: a cancel is told at once, however long the other side takes over it.
    if (run.signal.aborted) void source.cancel().catch(() => undefined)
    await ends.fail(
      source,
      run.signal.aborted
        ? new SourceError(run.signal.reason.code, run.signal.reason.message, error)
        : SourceError.from(error),
    )
  } finally {
    stop.release()
  }
  return true
}

/** Aborted when the run is to stop, and when it is drained, unless its source could not be gone on with after that. */
export function stopSignal(run: Run, source: Source): { readonly signal: AbortSignal; release(): void } {
  const stop = new AbortController()
  const onAbort = () => stop.abort(run.signal.reason)
  const onDrain = () => {
    if (source.resumable) stop.abort(run.draining.reason)
  }
  run.signal.addEventListener('abort', onAbort, { once: true })
  run.draining.addEventListener('abort', onDrain, { once: true })
  if (run.draining.aborted) onDrain()
  if (run.signal.aborted) onAbort()
  return {
    signal: stop.signal,
    release() {
      run.signal.removeEventListener('abort', onAbort)
      run.draining.removeEventListener('abort', onDrain)
    },
  }
}

/** Whether the run is to be gone on with later: what ended its work is no end. */
export function isSuspended(run: Run): boolean {
  return run.signal.aborted ? !(run.signal.reason instanceof RunAbort) : run.draining.aborted
}

/** Appends on their way: so many at a time that storing them does not slow their source down. */
class Appends {
  readonly #pending: { readonly appending: Promise<unknown>; readonly bytes: number }[] = []
  #bytes = 0

  /** Resolves when there is room for the next. @throws what an earlier one failed with. */
  async add(appending: Promise<unknown>, bytes: number): Promise<void> {
    // It is told when its turn comes.
    appending.catch(() => undefined)
    this.#pending.push({ appending, bytes })
    this.#bytes += bytes
    while (this.#bytes >= MAX_APPENDING_BYTES) {
      const oldest = this.#pending.shift()
      if (oldest === undefined) return
      await oldest.appending
      this.#bytes -= oldest.bytes
    }
  }

  async all(): Promise<void> {
    await Promise.all(this.#pending.map(({ appending }) => appending))
  }
}

/** What a batch of a source appends, in one step with its cursor. */
interface Taken {
  readonly events: readonly NewEvent[]
  /** Of their data. */
  readonly bytes: number
  readonly attributes: Attributes | undefined
  /** What ends the source behind them. */
  readonly failure: SourceError | undefined
}

function taken(
  batch: readonly SourceEvent[],
  source: string,
  maxEventBytes: number,
  record: SourceRecord,
): Taken {
  const events: NewEvent[] = []
  let bytes = 0
  let failure: SourceError | undefined
  for (const { type, data } of batch) {
    const json = JSON.stringify(tag(data, source))
    const byteLength = Buffer.byteLength(json)
    if (byteLength > maxEventBytes) {
      failure = new SourceError('event_too_large', `An event of more than ${maxEventBytes} bytes`)
      break
    }
    events.push({ type, json, source })
    bytes += byteLength
  }
  // What comes before a failure is appended all the same, and is as far as the cursor may go.
  const last = batch[events.length - 1]
  return { events, bytes, attributes: last && record.advance(last.cursor), failure }
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
