import { ProblemError } from '@tributary/protocol'
import { DEFAULT_STREAM_MAX_TIMEOUT_MS, DEFAULT_STREAM_TIMEOUT_MS, type HubOptions } from './hub-options.ts'

/** How long a stream lasts for which so much was asked, in ms. @throws ProblemError `invalid_request` where that is no time. */
export function timeoutOption(
  askedMs: number | undefined,
  {
    timeoutMs = DEFAULT_STREAM_TIMEOUT_MS,
    maxTimeoutMs = DEFAULT_STREAM_MAX_TIMEOUT_MS,
  }: Pick<HubOptions, 'timeoutMs' | 'maxTimeoutMs'>,
): number {
  const asked = askedMs ?? timeoutMs
  if (asked > 0) return Math.min(asked, maxTimeoutMs)
  throw new ProblemError('invalid_request', `"timeoutMs" must be more than 0; it is ${asked}`)
}
