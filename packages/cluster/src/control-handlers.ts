import type { Clock } from '@tributary/protocol'
import type { ClusterAnswer, ControlHandler } from './cluster.ts'
import { failed, unanswered } from './cluster-answer.ts'
import { encodeControl } from './control-message.ts'

/** What this node does for others, by kind, and how it answers them. */
export class ControlHandlers {
  readonly #nodeId: string
  readonly #clock: Pick<Clock, 'after'>
  readonly #handlers = new Map<string, ControlHandler>()

  constructor(nodeId: string, clock: Pick<Clock, 'after'>) {
    this.#nodeId = nodeId
    this.#clock = clock
  }

  /** @throws where the kind has a handler. */
  add(kind: string, handler: ControlHandler): () => void {
    if (this.#handlers.has(kind)) throw new Error(`There is a handler for ${kind}`)
    this.#handlers.set(kind, handler)
    return () => {
      if (this.#handlers.get(kind) === handler) this.#handlers.delete(kind)
    }
  }

  /** Does it, and says what became of it. Never rejects. `payload` is as it was read from a message. */
  async run(kind: string, payload: unknown, from: string): Promise<ClusterAnswer> {
    const handler = this.#handlers.get(kind)
    if (handler === undefined) return failed(this.#nodeId, `this node does not know ${JSON.stringify(kind)}`)
    try {
      const result: unknown = await handler(payload, from)
      // As the other reads it, whether or not it went over the network.
      return { nodeId: this.#nodeId, ok: true, result: copied(result) }
    } catch (error) {
      return failed(this.#nodeId, error)
    }
  }

  /** As another node would be asked: the payload is a copy, and the time is bounded. @throws RangeError */
  async runHere(kind: string, payload: unknown, timeoutMs: number): Promise<ClusterAnswer> {
    const late = Promise.withResolvers<ClusterAnswer>()
    const cancel = this.#clock.after(timeoutMs, () => late.resolve(unanswered(this.#nodeId, timeoutMs)))
    try {
      return await Promise.race([this.run(kind, copied(payload), this.#nodeId), late.promise])
    } finally {
      cancel()
    }
  }
}

function copied(value: unknown): unknown {
  const text = encodeControl(value)
  return text === undefined ? undefined : JSON.parse(text)
}
