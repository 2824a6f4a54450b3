/** The log is not the one that is known here, or has lost something since: nothing was done. */
export class LogChangedError extends Error {
  override readonly name = 'LogChangedError'
}
