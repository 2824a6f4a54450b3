import { hash } from 'node:crypto'
import type { OnceKey } from '@tributary/eventlog'

export interface OnceKeyOptions {
  /** Whose key it is: the same of another user is another. */
  readonly userId: string
  /** What is asked for, as JSON: the same key with another is a mistake of the caller. */
  readonly request: unknown
  /** How long it is remembered, in ms. */
  readonly windowMs: number
}

/** What the `Idempotency-Key` of a request is to the registry: of one length, and no secret of the caller's. */
export function onceKey(key: string, { userId, request, windowMs }: OnceKeyOptions): OnceKey {
  return { key: digest([userId, key]), fingerprint: digest(request), windowMs }
}

function digest(value: unknown): string {
  return hash('sha256', JSON.stringify(value, sortedKeys) ?? '', 'base64url')
}

/** The same is asked for whatever the order of its keys. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
