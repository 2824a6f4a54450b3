import type { Clock } from '@tributary/protocol'
import type { ClusterAnswer } from '../cluster.ts'
import { unanswered, unreachable } from '../cluster-answer.ts'

/** Requests that wait for answers at a time. One more is answered as unreachable at once. */
const MAX_WAITING = 1_000

interface Waiting {
  readonly missing: Set<string>
  readonly answers: ClusterAnswer[]
  readonly done: () => void
}

/** The requests of this node that wait for answers. Those that come twice, late, or of somebody else are left out. */
export class WaitingAnswers {
  readonly #clock: Pick<Clock, 'after'>
  readonly #waiting = new Map<string, Waiting>()

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  /** Sends a request, and waits until each of these nodes has answered, or the time is over. Never rejects. */
  async collect(
    id: string,
    nodeIds: readonly string[],
    timeoutMs: number,
    send: () => Promise<void>,
  ): Promise<readonly ClusterAnswer[]> {
    if (this.#waiting.size >= MAX_WAITING) {
      return nodeIds.map((nodeId) => unreachable(nodeId, `${MAX_WAITING} requests wait for answers already`))
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting: Waiting = { missing: new Set(nodeIds), answers: [], done: resolve }
    this.#waiting.set(id, waiting)
    const cancel = this.#clock.after(timeoutMs, resolve)
    try {
      await send()
      if (nodeIds.length > 0) await promise
      return [...waiting.answers, ...[...waiting.missing].map((nodeId) => unanswered(nodeId, timeoutMs))]
    } catch (error) {
      return nodeIds.map((nodeId) => unreachable(nodeId, error))
    } finally {
      cancel()
      this.#waiting.delete(id)
    }
  }

  answered(id: string, answer: ClusterAnswer): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || !waiting.missing.delete(answer.nodeId)) return
    waiting.answers.push(answer)
    if (waiting.missing.size === 0) waiting.done()
  }

  /** Nothing more comes. */
  close(): void {
    for (const { done } of this.#waiting.values()) done()
  }
}
