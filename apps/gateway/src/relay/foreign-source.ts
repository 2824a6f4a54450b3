import { type Fetch, readStreamBatches, type StreamError, type StreamPart } from '@tributary/client'
import { type Clock, COMPLETE, type HttpMethod, standardName, type WireEvent } from '@tributary/protocol'
import {
  type Source,
  SourceError,
  type SourceEvent,
  type SourceProgress,
  type SourceReading,
} from './source.ts'

/** Another Tributary's control frames, and what every server calls its own. */
const SWALLOWED = new Set(['connection', 'heartbeat', 'disconnected', 'source_unavailable'])

/** The longest wait between two attempts to resume. */
const MAX_RESUME_WAIT_MS = 5_000

export interface ForeignSourceOptions {
  readonly name: string
  readonly url: string
  readonly method: HttpMethod
  readonly body: string | undefined
  readonly fetch: Fetch
  readonly clock: Clock
  readonly random: () => number
  readonly maxEventChars: number
  /** How long it is waited for where it can be resumed. */
  readonly giveUpMs: number
}

/**
 * A stream of somebody else. A GET that sends ids is resumed where it breaks, also after a restart of ours, and one
 * that has not said anything yet is begun anew; anything else is read once: what a POST began is not begun again, and nothing is told twice. What ends cleanly has ended,
 * unless it said that it is to be resumed.
 */
export class ForeignSource implements Source {
  readonly name: string
  readonly #options: ForeignSourceOptions
  /** The last id it sent. */
  #cursor: string | undefined
  #anyEvent = false
  /** What its last event said of its end. */
  #ending: Ending | undefined

  constructor(options: ForeignSourceOptions) {
    this.name = options.name
    this.#options = options
  }

  get resumable(): boolean {
    return this.#options.method === 'GET' && (this.#cursor !== undefined || !this.#anyEvent)
  }

  async begin(): Promise<void> {
    // It begins with its first reading.
  }

  async *read({ signal, progress, onAway }: SourceReading): AsyncGenerator<readonly SourceEvent[]> {
    const { name: _, giveUpMs, body, ...request } = this.#options
    await this.#goOn(progress)
    const absence = new Absence(request.clock, giveUpMs, onAway)
    const forward = () => absence.end(signal.reason)
    signal.addEventListener('abort', forward, { once: true })
    if (signal.aborted) forward()
    this.#ending = undefined
    const batches = readStreamBatches({
      ...request,
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
      lastEventId: this.#cursor,
      signal: absence.signal,
      maxRetryMs: MAX_RESUME_WAIT_MS,
      isOver: () => this.#ending === undefined || !this.#hasIds,
      onOpen: () => absence.over(),
      onInterrupt: (failure) => {
        if (failure !== undefined && !this.#mayGoOnAfter(failure)) throw failure
        if (failure !== undefined || this.#ending === 'busy') absence.begin(failure)
        this.#ending = undefined
      },
    })
    try {
      for await (const batch of batches) {
        const events = this.#take(batch)
        if (events.length > 0) yield events
        if (events.at(-1)?.type === COMPLETE) return
      }
    } catch (error) {
      signal.throwIfAborted()
      throw SourceError.from(error)
    } finally {
      signal.removeEventListener('abort', forward)
      absence.over()
    }
  }

  async cancel(): Promise<void> {
    // Closing its stream is all that we can do.
  }

  /** Its events, up to its `complete`. */
  #take(batch: readonly StreamPart[]): SourceEvent[] {
    const events: SourceEvent[] = []
    for (const part of batch) {
      if ('id' in part) this.#cursor = part.id === '' ? undefined : part.id
      if (!('event' in part)) continue
      this.#ending = endingOf(part.event)
      if (SWALLOWED.has(part.event.type)) continue
      this.#anyEvent = true
      const data = jsonOrText(part.event.data)
      const type = standardName(part.event.type, data)
      events.push({ type, data, cursor: this.#cursor })
      if (type === COMPLETE) break
    }
    return events
  }

  get #hasIds(): boolean {
    return this.#options.method === 'GET' && this.#cursor !== undefined
  }

  /** Before its first event there is nothing that could be told twice; who refuses the connection is not there at all. */
  #mayGoOnAfter(failure: StreamError): boolean {
    if (this.#hasIds) return true
    const isUnheard = this.#options.method === 'GET' && !this.#anyEvent
    return isUnheard && SourceError.from(failure).code === 'connection_reset'
  }

  /** @throws SourceError where an earlier process came so far that it cannot be gone on with. */
  async #goOn(progress: SourceProgress): Promise<void> {
    const { method } = this.#options
    this.#cursor = progress.cursor
    this.#anyEvent = progress.appended
    if (method !== 'GET') {
      if (progress.begun) {
        throw new SourceError(
          'worker_lost',
          `The gateway that read it ended meanwhile, and a ${method} is not sent twice`,
        )
      }
      await progress.noteBegun()
    } else if (progress.appended && progress.cursor === undefined) {
      const why = 'which sends no event ids to resume it by'
      throw new SourceError(
        'worker_lost',
        `The gateway that read it ended in the midst of the stream, ${why}`,
      )
    }
  }
}

/** How a server said that its stream is to be resumed; `undefined`: it did not. */
type Ending = 'busy' | 'later'

function endingOf({ type, data }: WireEvent): Ending | undefined {
  if (type !== 'disconnected') return undefined
  const said = jsonOrText(data)
  if (typeof said !== 'object' || said === null || !('reconnect' in said) || said.reconnect !== true)
    return undefined
  return 'reason' in said && said.reason === 'busy' ? 'busy' : 'later'
}

/** The time that a stream is away; past its limit it is given up. */
class Absence {
  readonly #clock: Clock
  readonly #giveUpMs: number
  readonly #onAway: (since: number | undefined) => void
  readonly #stop = new AbortController()
  #failure: StreamError | undefined
  #cancelGiveUp: (() => void) | undefined

  constructor(clock: Clock, giveUpMs: number, onAway: (since: number | undefined) => void) {
    this.#clock = clock
    this.#giveUpMs = giveUpMs
    this.#onAway = onAway
  }

  /** Aborted where it is given up, with why. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  end(reason: unknown): void {
    this.#stop.abort(reason)
  }

  begin(failure: StreamError | undefined): void {
    this.#failure = failure ?? this.#failure
    if (this.#cancelGiveUp !== undefined) return
    this.#cancelGiveUp = this.#clock.after(this.#giveUpMs, () =>
      this.end(this.#failure ?? new SourceError('upstream_unavailable', 'The stream stayed away')),
    )
    this.#onAway(this.#clock.now())
  }

  over(): void {
    if (this.#cancelGiveUp === undefined) return
    this.#cancelGiveUp()
    this.#cancelGiveUp = undefined
    this.#onAway(undefined)
  }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
