/** What all streams of a service hold now, and have sent since it started. */
export interface StreamTotals {
  readonly open: number
  readonly events: number
  readonly bytes: number
  /** Bytes that wait for readers: of all, and of the one with the most. */
  readonly pendingBytes: number
  readonly maxPendingBytes: number
}
