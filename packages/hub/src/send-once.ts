import { hash } from 'node:crypto'
import type { OnceKey } from '@tributary/eventlog'
import { type Audience, ProblemError } from '@tributary/protocol'
import type { CheckedEvent } from './new-event.ts'

/** How long a key is remembered unless told otherwise, in ms. */
export const DEFAULT_IDEMPOTENCY_WINDOW_MS = 86_400_000
const MAX_KEY_CHARS = 256

/** What makes a send happen once, however often it is asked for. */
export interface SendOnce {
  /** The publisher's own, 1 to 256 characters. */
  readonly key: string
  /** Whose key it is: the same of another is another. Default: one for all. */
  readonly scope?: string
  /** How long it is remembered, in ms. Default: the hub's `idempotencyWindowMs`. */
  readonly windowMs?: number
}

/** What is sent, as far as it decides whether it is the same. */
interface Said {
  readonly event: CheckedEvent
  readonly audience: Audience
  readonly ephemeral: boolean
}

/** The key of a send in the hub's log. @throws ProblemError `invalid_request` where it is too long, or none. */
export function onceKey(
  { key, scope = '', windowMs }: SendOnce,
  said: Said,
  defaultWindowMs: number,
): OnceKey {
  if (key === '' || key.length > MAX_KEY_CHARS) {
    throw new ProblemError('invalid_request', `An idempotency key has 1 to ${MAX_KEY_CHARS} characters`)
  }
  return {
    // Of one length, and with no secret of the publisher's in the store.
    key: `send:${digest([scope, key])}`,
    fingerprint: fingerprintOf(said),
    windowMs: windowMs ?? defaultWindowMs,
  }
}

function fingerprintOf({ event: { json, ...head }, audience, ephemeral }: Said): string {
  const data: unknown = JSON.parse(json)
  return digest({ head, data, audience, ephemeral })
}

function digest(value: unknown): string {
  return hash('sha256', JSON.stringify(value, sortedKeys), 'base64url')
}

/** The same is said whatever the order of its keys. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
