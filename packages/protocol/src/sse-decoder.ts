import { createParser, type ParseError } from 'eventsource-parser'

/** One event as it came over the wire. */
export interface WireEvent {
  /** The last `id:` of its block; absent where it had none. */
  readonly id?: string
  /** `message` where the block named none. */
  readonly type: string
  readonly data: string
}

export interface SseDecoderOptions {
  onEvent(event: WireEvent): void
  /** An `id:`, also of a block without data. */
  onId?(id: string): void
  onRetry?(retryMs: number): void
  onComment?(comment: string): void
  /** The most characters held for an event that has not ended. Default 1 MiB. */
  readonly maxEventChars?: number
}

export const DEFAULT_MAX_EVENT_CHARS = 1_048_576

/** An event that is longer than the reader is willing to hold. */
export class EventTooLongError extends Error {
  override readonly name = 'EventTooLongError'
  readonly code = 'event_too_large'
  readonly retryable = false
}

/** Decodes a stream of bytes into events, by eventsource-parser, in bounded memory. */
export class SseDecoder {
  // The parser skips the byte order mark; skipping it here, too, would skip two.
  readonly #text = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #parser: ReturnType<typeof createParser>
  #failure: ParseError | undefined

  constructor({ onEvent, onId, onRetry, onComment, maxEventChars }: SseDecoderOptions) {
    this.#parser = createParser({
      onEvent: ({ id, event, data }) =>
        onEvent({ type: event || 'message', data, ...(id === undefined ? {} : { id }) }),
      onId,
      onRetry,
      onComment,
      onError: (error) => {
        // Unknown fields and bad retries are skipped, as the specification says; only the bound is an error.
        if (error.type === 'max-buffer-size-exceeded') this.#failure = error
      },
      maxBufferSize: maxEventChars ?? DEFAULT_MAX_EVENT_CHARS,
    })
  }

  /** @throws EventTooLongError past `maxEventChars`; the decoder is of no use after that. */
  feed(bytes: Uint8Array): void {
    if (this.#failure === undefined) this.#parser.feed(this.#text.decode(bytes, { stream: true }))
    if (this.#failure !== undefined) {
      throw new EventTooLongError('An event is longer than the reader allows', { cause: this.#failure })
    }
  }
}
