/** What a log follows for somebody, until it is ended. */
export interface Following {
  /**
   * Resolves once it is followed: what anybody appends from here on is told, and the head is no older than the call.
   * `undefined` where that is so already. Rejects with StoreUnavailableError where the store cannot be reached.
   */
  readonly ready: Promise<void> | undefined
  /** May be called twice, and before it is ready. */
  end(): void
}

/** Of a log that one process has for itself: it hears of everything anyway. */
export const NOTHING_TO_FOLLOW: Following = { ready: undefined, end: () => undefined }

/** Ends what never was: of a log that cannot turn out to be another while it is open. */
export const NEVER_REWINDS = (): void => undefined
