import type { DisconnectReason, SourceUnavailableData } from '@tributary/protocol'
import type { LogStream } from '@tributary/sse'

/** Who is to be told that a source is away. */
export interface AwayNotes {
  /** A source is away since then, in ms since 1970; `undefined`: it is back, or waited for no more. */
  note(source: string, since: number | undefined): void
}

/** The streams of a run's readers here, who are told when a source of the run is away and is waited for. */
export class RunReaders implements AwayNotes {
  readonly #streams = new Set<LogStream>()
  /** Since when, by source. */
  readonly #away = new Map<string, number>()

  /** Notes a reader's stream for as long as it lasts. */
  attach(stream: LogStream): void {
    this.#streams.add(stream)
    stream.onEnd(() => this.#streams.delete(stream))
    for (const [source, since] of this.#away) tellAway(stream, source, since)
  }

  note(source: string, since: number | undefined): void {
    if (since === undefined) {
      this.#away.delete(source)
      return
    }
    if (this.#away.has(source)) return
    this.#away.set(source, since)
    for (const stream of this.#streams) tellAway(stream, source, since)
  }

  /** Ends all streams. */
  end(reason: DisconnectReason): void {
    for (const stream of this.#streams) stream.end(reason)
  }
}

/** Tells a stream that a source of its run is away. Without an id: it is for this stream alone. */
export function tellAway({ stream }: LogStream, source: string, since: number): void {
  const data: SourceUnavailableData = { source, since, retryable: true }
  stream.control('source_unavailable', data)
}
