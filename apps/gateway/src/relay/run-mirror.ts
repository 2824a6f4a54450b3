import { readStreamBatches, StreamError } from '@tributary/client'
import { MirrorLog } from '@tributary/eventlog'
import { type Clock, COMPLETE, CompleteData, ProblemError, type WireEvent } from '@tributary/protocol'
import type { LogStream } from '@tributary/sse'
import { Compile } from 'typebox/compile'
import { mirroredEntry } from './mirrored-entry.ts'
import { RunReaders } from './run-readers.ts'
import { RunUpstream, type RunUpstreamOptions } from './run-upstream.ts'
import { problemOf, type Worker } from './worker.ts'

const completeData = Compile(CompleteData)

/** How long a mirror that nobody reads is kept, so that a reader who drops for a moment finds it again. */
const IDLE_MS = 10_000

/** How long a reader who comes back waits until the mirror has come as far as he was. */
const REACH_MS = 2_000

/** The longest wait between two attempts: a worker that is back is to be read at once. */
const MAX_RETRY_MS = 2_000

/** What readers call the upstream of a run that is a worker's. */
const SOURCE = 'worker'

export interface RunMirrorOptions extends RunUpstreamOptions {
  readonly clock: Clock
  readonly random: () => number
  /** Entries kept. */
  readonly maxEvents: number
  /** Characters of one event at most. */
  readonly maxEventChars: number
  /**
   * How often the worker sends a heartbeat, in ms; where nothing comes for 2.5 times as long, it is away. Workers must
   * not be configured to be quiet for longer than this gateway.
   */
  readonly heartbeatMs: number
  readonly giveUpMs: number
  /** Called with the end of the run, and when that was, in ms since 1970, once it is there. */
  readonly onComplete: (data: CompleteData, endedAt: number) => void
  /** Called once, when nobody needs it any more. */
  readonly onIdle: () => void
}

/** Called with since when the worker is away, in ms since 1970, and without that when it is back. */
export type AwayListener = (since: number | undefined) => void

/**
 * A worker's run as its readers at this gateway share it: one upstream, however many they are. While the worker is
 * away they are told so, and go on where they were once it is back; past `giveUpMs` their streams end.
 */
export class RunMirror {
  readonly runId: string
  readonly log: MirrorLog
  readonly #options: RunMirrorOptions
  readonly #stop = new AbortController()
  readonly #readers = new RunReaders()
  readonly #awayListeners = new Set<AwayListener>()
  readonly #tried = Promise.withResolvers<void>()
  readonly #upstream: RunUpstream
  #failure: ProblemError | undefined
  /** Whether the upstream has stood, and whether it does now. */
  #everStood = false
  #stands = false
  #holders = 0
  #awaySince: number | undefined
  #cancelIdle: (() => void) | undefined
  #cancelGiveUp: (() => void) | undefined

  constructor(options: RunMirrorOptions) {
    const { runId, clock, maxEvents } = options
    this.runId = runId
    this.#options = options
    const retention = { maxEvents, maxAgeMs: Number.POSITIVE_INFINITY }
    this.log = new MirrorLog({ runId, retention, now: () => clock.now() })
    // Until somebody holds it: whoever asked for it may have left already.
    this.#cancelIdle = clock.after(IDLE_MS, () => this.close())
    this.#upstream = new RunUpstream(options)
    void this.#read().finally(() => this.#upstream.release())
  }

  /** Who is read, or was the last. */
  get worker(): Worker {
    return this.#upstream.worker
  }

  /** Whether its log grows no more because it was closed. */
  get closed(): boolean {
    return this.#stop.signal.aborted
  }

  /** Why it is closed, where that is not that nobody needed it. */
  get failure(): ProblemError | undefined {
    return this.#failure
  }

  /**
   * Resolves once the upstream stands, or has stood.
   *
   * @throws ProblemError where the worker refuses it, or is away and was from the beginning.
   */
  async ready(): Promise<void> {
    if (!this.#everStood) await this.#tried.promise
    if (!this.#everStood) throw this.#failure ?? awayError()
  }

  /** Calls back when the mirror is closed; the answer takes that back. */
  onClosed(listener: () => void): () => void {
    const { signal } = this.#stop
    signal.addEventListener('abort', listener, { once: true })
    return () => signal.removeEventListener('abort', listener)
  }

  /** Calls back when the worker goes and comes, and at once where it is away; the answer takes that back. */
  onAway(listener: AwayListener): () => void {
    this.#awayListeners.add(listener)
    if (this.#awaySince !== undefined) listener(this.#awaySince)
    return () => this.#awayListeners.delete(listener)
  }

  /** Resolves once the mirror holds this number or the worker can say no more, and within a moment at the latest. */
  async reach(n: number): Promise<void> {
    await this.ready()
    if (this.log.head.n >= n || this.log.closed || this.closed) return
    const reached = Promise.withResolvers<void>()
    const untail = this.log.tail(({ position }) => {
      if (position.n >= n || this.log.closed) reached.resolve()
    })
    const offClosed = this.onClosed(reached.resolve)
    const cancel = this.#options.clock.after(REACH_MS, reached.resolve)
    await reached.promise
    untail()
    offClosed()
    cancel()
  }

  /** Keeps the mirror; the answer lets it go, once. */
  hold(): () => void {
    this.#holders += 1
    this.#cancelIdle?.()
    this.#cancelIdle = undefined
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holders -= 1
      if (this.#holders > 0) return
      // One that has never stood has nothing that somebody could come back for.
      if (this.#awaySince !== undefined && !this.#everStood) this.close()
      else this.#cancelIdle = this.#options.clock.after(IDLE_MS, () => this.close())
    }
  }

  /** Notes a reader's stream, which is told when the upstream is away, and keeps the mirror while it lasts. */
  attach(stream: LogStream): void {
    if (this.closed) {
      stream.end('upstream_lost')
      return
    }
    const release = this.hold()
    this.#readers.attach(stream)
    stream.onEnd(release)
  }

  close(failure?: ProblemError): void {
    if (this.closed) return
    this.#failure = failure
    this.#cancelIdle?.()
    this.#cancelGiveUp?.()
    this.#stop.abort()
    this.#tried.resolve()
    this.#readers.end('upstream_lost')
    this.#options.onIdle()
  }

  async #read(): Promise<void> {
    const { runId, clock, random, maxEventChars, heartbeatMs } = this.#options
    try {
      const batches = readStreamBatches({
        url: this.#upstream.url,
        fetch: this.#upstream.fetch,
        signal: this.#stop.signal,
        clock,
        random,
        maxEventChars,
        heartbeatMs,
        maxRetryMs: MAX_RETRY_MS,
        onInterrupt: (failure) => this.#interrupted(failure),
        isOver: () => this.log.closed,
      })
      for await (const batch of batches) {
        for (const part of batch) if ('event' in part) this.#take(part.event)
        if (this.log.closed) return
      }
      throw new Error('it ended before the run did')
    } catch (error) {
      if (!this.closed) this.close(readFailure(error, runId))
    }
  }

  #take(event: WireEvent): void {
    // A worker that has no room says so within a stream, and that is no stream to read.
    if (!this.#stands && event.type !== 'disconnected') this.#stood()
    if (event.type === 'gap' && !isTrimmed(event.data))
      throw new Error('the worker has lost what it sent before')
    const entry = mirroredEntry(event)
    if (entry === undefined) return
    const isEnd = entry.event.type === COMPLETE
    this.log.add(entry, isEnd)
    if (!isEnd) return
    const { data, timestamp } = entry.event
    if (completeData.Check(data)) this.#options.onComplete(data, timestamp)
  }

  #stood(): void {
    this.#stands = true
    this.#everStood = true
    this.#tried.resolve()
    this.#cancelGiveUp?.()
    this.#cancelGiveUp = undefined
    if (this.#awaySince !== undefined) this.#tellAway(undefined)
  }

  #interrupted(failure: StreamError | undefined): void {
    // The worker ends each stream after its time, to be resumed at once: it is not away for that.
    const isOrdinary = failure === undefined && this.#stands
    this.#stands = false
    if (isOrdinary || this.#awaySince !== undefined) return
    const { clock, giveUpMs } = this.#options
    this.worker.avoid()
    this.#tellAway(clock.now())
    this.#tried.resolve()
    // Ends the readers' streams, not the run: they come back, and so may the worker.
    this.#cancelGiveUp = clock.after(giveUpMs, () => this.close(awayError()))
  }

  #tellAway(since: number | undefined): void {
    this.#awaySince = since
    this.#readers.note(SOURCE, since)
    for (const listener of this.#awayListeners) listener(since)
  }
}

function awayError(): ProblemError {
  const detail = 'The worker of this run cannot be reached; try again in a moment.'
  return new ProblemError('upstream_unavailable', detail, { retryAfterS: 1 })
}

/** Of what an upstream may miss, only what was trimmed leaves its log the one that is mirrored. */
function isTrimmed(gap: string): boolean {
  const data: unknown = JSON.parse(gap)
  if (typeof data !== 'object' || data === null || !('reason' in data)) return false
  return data.reason === 'expired' || data.reason === 'overflow'
}

function readFailure(error: unknown, runId: string): ProblemError {
  const said = error instanceof StreamError ? problemOf(error.body ?? '') : undefined
  if (said?.code === 'run_not_found' || said?.code === 'run_gone') {
    const detail = `There is no run ${JSON.stringify(runId)} any more.`
    return new ProblemError(said.code, detail, { cause: error })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new ProblemError('upstream_failed', `The worker's stream cannot be read: ${message}`, {
    cause: error,
  })
}
