import type { LogEntry } from '@tributary/eventlog'
import { type Clock, COMPLETE, ProblemError } from '@tributary/protocol'
import type { RunMirror } from './run-mirror.ts'
import { type Source, SourceError, type SourceEvent, type SourceReading } from './source.ts'
import { WorkerSilentError } from './worker.ts'

/** How long after an attempt to begin the next one follows, in ms. */
const RETRY_MS = 1_000

export interface WorkerRunSourceOptions {
  readonly name: string
  /** Begins the run, or finds it; asked again only where it failed. @throws ProblemError */
  readonly open: () => Promise<RunMirror>
  /** Ends the run where it was begun for this source. Default: it is somebody else's, and goes on. */
  readonly end?: (mirror: RunMirror) => Promise<void>
  readonly clock: Clock
  /** How long a worker that is away is waited for, in ms. */
  readonly giveUpMs: number
  /** Whether it is waited for before the first event too, as after a restart. */
  readonly patient: boolean
}

/** A run of a worker, read through its mirror: resumed where its upstream breaks, shared with its other readers. */
export class WorkerRunSource implements Source {
  readonly name: string
  readonly resumable = true
  readonly #options: WorkerRunSourceOptions
  #held: Promise<HeldMirror> | undefined
  #patient: boolean

  constructor(options: WorkerRunSourceOptions) {
    this.name = options.name
    this.#options = options
    this.#patient = options.patient
  }

  /** A worker that took the request and said nothing may have begun: it is asked again, with the same key, when reading. */
  async begin(): Promise<void> {
    try {
      await this.#hold()
    } catch (error) {
      if (!(error instanceof WorkerSilentError)) throw error
      this.#held = undefined
      this.#patient = true
    }
  }

  async *read({ signal, progress, onAway }: SourceReading): AsyncGenerator<readonly SourceEvent[]> {
    let wake = Promise.withResolvers<void>()
    const ready = () => wake.resolve()
    const offs: (() => void)[] = []
    signal.addEventListener('abort', ready, { once: true })
    try {
      const { mirror } = await this.#patiently(signal, onAway)
      const { log } = mirror
      offs.push(log.tail(ready), mirror.onClosed(ready), mirror.onAway(onAway))
      for (let after = Number(progress.cursor ?? 0); ; ) {
        signal.throwIfAborted()
        wake = Promise.withResolvers()
        const page = await log.read(after)
        if (after > 0 && (page.lostUpTo?.n ?? 0) > after) {
          throw new SourceError('upstream_failed', 'The worker no longer has the events that come next')
        }
        const events = page.entries.map(eventOf)
        after = page.entries.at(-1)?.position.n ?? after
        if (events.length > 0) yield events
        if (events.at(-1)?.type === COMPLETE) return
        if (page.hasMore || log.head.n > after) continue
        if (mirror.closed) throw lost(mirror)
        await wake.promise
      }
    } catch (error) {
      signal.throwIfAborted()
      throw SourceError.from(error)
    } finally {
      for (const off of offs) off()
      signal.removeEventListener('abort', ready)
      onAway(undefined)
      // Not awaited: a worker that is being asked may say nothing for long.
      void this.#release()
    }
  }

  async cancel(): Promise<void> {
    const mirror = await this.#held?.then((held) => held.mirror)
    await this.#release()
    if (mirror !== undefined) await this.#options.end?.(mirror)
  }

  #hold(): Promise<HeldMirror> {
    this.#held ??= this.#options.open().then((mirror) => ({ mirror, release: mirror.hold() }))
    return this.#held
  }

  async #patiently(signal: AbortSignal, onAway: SourceReading['onAway']): Promise<HeldMirror> {
    const { clock, giveUpMs } = this.#options
    const [since, beganMs] = [clock.now(), clock.elapsed()]
    for (;;) {
      try {
        return await unlessAborted(this.#hold(), signal)
      } catch (error) {
        signal.throwIfAborted()
        const isAway = error instanceof ProblemError && error.retryable
        if (!this.#patient || !isAway) throw error
        if (clock.elapsed() - beganMs >= giveUpMs)
          throw new SourceError('worker_lost', 'The worker stayed away', error)
        this.#held = undefined
        onAway(since)
        await pause(clock, signal)
        signal.throwIfAborted()
      }
    }
  }

  async #release(): Promise<void> {
    await this.#held?.then(({ release }) => release()).catch(() => undefined)
  }
}

function eventOf({ position, event }: LogEntry): SourceEvent {
  return { type: event.type, data: event.data, cursor: String(position.n) }
}

interface HeldMirror {
  readonly mirror: RunMirror
  readonly release: () => void
}

function lost({ failure }: RunMirror): SourceError {
  if (failure !== undefined && failure.code !== 'upstream_unavailable') return SourceError.from(failure)
  return new SourceError('worker_lost', 'The worker stayed away', failure)
}

/** @throws the signal's reason where that comes first: what is waited for goes on. */
async function unlessAborted<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([waited, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function pause(clock: Clock, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(RETRY_MS, end)
    signal?.addEventListener('abort', end, { once: true })
  })
}
