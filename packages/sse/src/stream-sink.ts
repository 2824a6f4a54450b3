/** Where the bytes of one stream go. */
export interface StreamSink {
  /** Takes bytes, in order. Ignored once the sink is closed. */
  write(bytes: Uint8Array): void
  /** Bytes taken that the peer's side has not. */
  readonly pendingBytes: number
  /** Whether no more can be sent: ended, or the peer is gone. */
  readonly closed: boolean
  /** Ends after what was written. */
  end(): void
  /** Calls back whenever pending bytes have been taken after a time of not being so. */
  onDrain(listener: () => void): void
  /** Calls back once when the sink is closed, from whichever side. */
  onClose(listener: () => void): void
}
