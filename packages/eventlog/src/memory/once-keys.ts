import type { Position } from '@tributary/protocol'
import type { OnceAnswer, OnceKey } from '../event-log.ts'
import { OnceConflictError } from '../log-error.ts'

interface KnownKey {
  readonly fingerprint: string
  readonly first: Position | undefined
  readonly expiresMs: number
}

/** The keys that were appended with, each for its window. As many as were used within it. */
export class OnceKeys {
  // In the order of their use; with one window for all, that of their end.
  readonly #keys = new Map<string, KnownKey>()

  /** What a key that is known answers. @throws OnceConflictError */
  find({ key, fingerprint }: OnceKey, log: string, nowMs: number): OnceAnswer | undefined {
    const known = this.#keys.get(key)
    if (known === undefined || known.expiresMs <= nowMs) return undefined
    if (known.fingerprint !== fingerprint) throw new OnceConflictError(log)
    return { replayed: true, first: known.first }
  }

  add({ key, fingerprint, windowMs }: OnceKey, first: Position | undefined, nowMs: number): void {
    this.#keys.delete(key)
    this.#keys.set(key, { fingerprint, first, expiresMs: nowMs + windowMs })
  }

  trim(nowMs: number): void {
    for (const [key, { expiresMs }] of this.#keys) if (expiresMs <= nowMs) this.#keys.delete(key)
  }
}
