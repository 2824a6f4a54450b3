import { createHash } from 'node:crypto'
import type { OnceKey } from '@tributary/eventlog'
import { ProblemError } from '@tributary/protocol'

/** Visible ASCII, so that every proxy hands it on as it is. */
const KEY = /^[\x21-\x7e]{1,255}$/

export interface OnceKeyOptions {
  /** Whose key it is: the same key of another user is another. */
  readonly userId: string
  /** What is asked for, as JSON: the same key with another is a mistake of the caller. */
  readonly request: unknown
  /** How long it is remembered, in ms. */
  readonly windowMs: number
}

/**
 * What an `Idempotency-Key` header makes of a request; `undefined` where there is none.
 *
 * @throws ProblemError `invalid_request` where the key is none.
 */
export function onceKey(
  header: string | string[] | undefined,
  { userId, request, windowMs }: OnceKeyOptions,
): OnceKey | undefined {
  if (header === undefined) return undefined
  if (typeof header !== 'string' || !KEY.test(header)) {
    const message = 'must be 1 to 255 visible ASCII characters'
    throw new ProblemError('invalid_request', `"Idempotency-Key" ${message}.`, {
      errors: [{ path: 'headers/idempotency-key', message }],
    })
  }
  const key = sha256(JSON.stringify([userId, header]))
  return { key, fingerprint: sha256(JSON.stringify(request) ?? ''), windowMs }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
