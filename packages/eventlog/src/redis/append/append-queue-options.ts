import type { Position } from '@tributary/protocol'
import type { Appended, AppendRequest, Attempt } from './append-request.ts'
import type { EntryOf } from './pending-append.ts'

/** What the script answered: where the batch begins, or what came of its key. */
export type AppendAnswer =
  | { readonly kind: 'appended'; readonly first: Position; readonly attributesVersion: number }
  | { readonly kind: 'known'; readonly n: number; readonly ms: number }

/** What is known of an append once it is answered. */
export interface AnsweredAppend {
  /** Of its batch; none of an empty one. */
  readonly last: Position | undefined
  /** Whether it waits to be handed on. */
  readonly isWaiting: boolean
  /** 0 where it changed none. */
  readonly attributesVersion: number
}

export interface AppendQueueOptions {
  /**
   * Sends it.
   *
   * @param isNext asked at the last moment: whether it may be sent.
   * @throws RedisUnavailableError where it may be tried again.
   */
  readonly send: (attempt: Attempt, isNext: () => boolean) => Promise<AppendAnswer>
  readonly entryOf: EntryOf
  /** Whether an answered append, which ends there, is about to be handed on here. */
  readonly awaitsHandOn: (request: AppendRequest, last: Position) => boolean
  /** Told of an append that waits for that, or waits no more. */
  readonly onAnswered: (request: AppendRequest, answered: AnsweredAppend) => void
  /** Told of an append whose answer was lost, and that stands there. */
  readonly onSeen: (attempt: Attempt, first: Position) => void
  /** @param k of the append, where that may have been done. */
  readonly failure: (error: unknown, k?: number) => unknown
  /** Takes over what cannot be sent now; `undefined` where that is refused. @throws what it is refused with */
  readonly bridge: (attempt: Attempt) => Appended | undefined
  /** Whether it is known that nothing can be sent now. */
  readonly isDown: () => boolean
  /** Whether something of before waits to be sent, so that what may wait stands behind it. */
  readonly isBridging: () => boolean
  /** Whether all come from one writer: none is stored where one before it is not. */
  readonly isOrdered: boolean
  readonly after: (delayMs: number, callback: () => void) => () => void
  readonly elapsed: () => number
  readonly retryMs: number
}
