import { type DisconnectedData, encodeFrame, ProblemError } from '@tributary/protocol'

/** The part that may be added to a wait, so that readers who were refused together do not come back together. */
const BUSY_JITTER = 0.5
/** How long a reader waits where the refusal does not say it. */
const DEFAULT_BUSY_RETRY_MS = 2_000

export interface BusyOptions {
  /** How long a reader waits before it comes back, in ms; up to half as much is added. */
  readonly retryMs: number
  /** The cursor that it presented: it comes back with the same. */
  readonly cursorText: string
  /** Why, for people. */
  readonly message?: string
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number
}

/**
 * The whole stream of a reader that is to come back soon. To an EventSource any status but 200 is the end, so a
 * refusal that will pass is said within a stream.
 */
export function busyStream({ retryMs, cursorText, message, random = Math.random }: BusyOptions): string {
  const data: DisconnectedData = {
    reason: 'busy',
    reconnect: true,
    ...(message === undefined ? {} : { message }),
  }
  return encodeFrame({
    retryMs: Math.ceil(retryMs * (1 + BUSY_JITTER * random())),
    // Repeated, because a reader that keeps to the standard forgets its cursor at a first event without one.
    id: cursorText,
    event: 'disconnected',
    data: JSON.stringify(data),
  })
}

/**
 * What a refusal that will pass says to a reader who comes back; `undefined` for one that will not.
 *
 * @param retryAfter the header of that name, for an error that does not hold its wait itself: seconds.
 */
export function busyOf(
  error: unknown,
  retryAfter?: unknown,
): Pick<BusyOptions, 'retryMs' | 'message'> | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  if (error.statusCode !== 429 && error.statusCode !== 503) return undefined
  const isOurs = error instanceof ProblemError
  if (isOurs && !error.retryable) return undefined
  const waitS = isOurs ? error.retryAfterS : secondsOf(retryAfter)
  return { retryMs: waitS === undefined ? DEFAULT_BUSY_RETRY_MS : waitS * 1_000, message: error.message }
}

function secondsOf(header: unknown): number | undefined {
  return /^\d{1,6}$/.test(String(header)) ? Number(header) : undefined
}
