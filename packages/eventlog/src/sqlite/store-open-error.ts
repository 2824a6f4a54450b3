/** A database file that cannot be opened. The message names it, and says what to change. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError'
  readonly code = 'store_open_failed'
  readonly retryable = false
}
