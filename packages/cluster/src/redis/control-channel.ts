import { randomUUID } from 'node:crypto'
import type { Clock } from '@tributary/protocol'
import type { RedisConnections, Subscription } from '@tributary/redis'
import type { ClusterAnswer, NodeService } from '../cluster.ts'
import type { ControlHandlers } from '../control-handlers.ts'
import { type ControlFrame, readFrame } from './control-frame.ts'
import type { ClusterKeys } from './redis-keys.ts'
import type { RedisTime } from './redis-time.ts'
import { WaitingAnswers } from './waiting-answers.ts'

export interface ControlChannelInit {
  readonly nodeId: string
  readonly service: NodeService
  readonly redis: RedisConnections
  readonly keys: ClusterKeys
  readonly handlers: ControlHandlers
  readonly time: RedisTime
  readonly clock: Clock
  /** Some node has left. */
  readonly onLeft: () => void
  readonly onError: (error: unknown) => void
}

/** Requests of one node to another, and the answers, by pub/sub. What is not answered in time was perhaps never heard. */
export class ControlChannel {
  readonly #init: ControlChannelInit
  readonly #waiting: WaitingAnswers
  readonly #subscriptions: readonly Subscription[]

  constructor(init: ControlChannelInit) {
    this.#init = init
    this.#waiting = new WaitingAnswers(init.clock)
    const { redis, keys, nodeId } = init
    this.#subscriptions = [keys.everyChannel, keys.nodeChannel(nodeId)].map((name) =>
      redis.subscriptions.subscribe(name, (message) => this.#heard(message)),
    )
  }

  /** Resolves once this node hears what others say. */
  async ready(): Promise<void> {
    await Promise.all(this.#subscriptions.map(({ ready }) => ready))
  }

  /** Asks one other node. The payload has been looked at: one that is too long is nobody's to answer for. */
  async ask(nodeId: string, kind: string, payload: unknown, timeoutMs: number): Promise<ClusterAnswer> {
    const channel = this.#init.keys.nodeChannel(nodeId)
    const [answer] = await this.#request(channel, [nodeId], { kind, payload, timeoutMs })
    if (answer === undefined) throw new Error('each node asked is answered for')
    return answer
  }

  /** The same of all others; these are waited for. */
  askOthers(
    nodeIds: readonly string[],
    kind: string,
    payload: unknown,
    options: { readonly timeoutMs: number; readonly service: NodeService | undefined },
  ): Promise<readonly ClusterAnswer[]> {
    return this.#request(this.#init.keys.everyChannel, nodeIds, { kind, payload, ...options })
  }

  /** Tells the others that this node has left. */
  async left(): Promise<void> {
    await this.#publish(this.#init.keys.everyChannel, { type: 'left' })
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.end()
    this.#waiting.close()
  }

  async #request(
    channel: string,
    nodeIds: readonly string[],
    request: {
      readonly kind: string
      readonly payload: unknown
      readonly timeoutMs: number
      readonly service?: NodeService | undefined
    },
  ): Promise<readonly ClusterAnswer[]> {
    const { kind, payload, timeoutMs, service } = request
    const now = this.#init.time.now()
    const id = randomUUID()
    const frame: ControlFrame = {
      type: 'request',
      id,
      from: this.#init.nodeId,
      kind,
      payload,
      ...(service === undefined ? {} : { service }),
      ...(now === undefined ? {} : { until: now + timeoutMs }),
    }
    return this.#waiting.collect(id, nodeIds, timeoutMs, () => this.#publish(channel, frame))
  }

  #heard(text: string): void {
    const frame = readFrame(text)
    const { nodeId, service, time } = this.#init
    if (frame?.type === 'left') this.#init.onLeft()
    if (frame?.type === 'answer') this.#answered(frame)
    if (frame?.type !== 'request') return
    // Its own, by the channel of all; of another service; or of one who no longer waits and was told that it was not done.
    if (frame.from === nodeId || (frame.service ?? service) !== service) return
    const now = time.now()
    if (now !== undefined && frame.until !== undefined && now > frame.until) return
    void this.#serve(frame).catch(this.#init.onError)
  }

  async #serve({ id, from, kind, payload }: ControlFrame & { type: 'request' }): Promise<void> {
    const { keys, nodeId, handlers } = this.#init
    const answer = await handlers.run(kind, payload, from)
    const outcome = answer.ok
      ? { ok: true, result: answer.result }
      : { ok: false, message: answer.message.slice(0, 2_000) }
    await this.#publish(keys.nodeChannel(from), { type: 'answer', id, from: nodeId, ...outcome })
  }

  #answered({ id, from: nodeId, ok, result, message = '' }: ControlFrame & { type: 'answer' }): void {
    this.#waiting.answered(id, ok ? { nodeId, ok, result } : { nodeId, ok, reason: 'failed', message })
  }

  async #publish(channel: string, frame: ControlFrame): Promise<void> {
    const { redis } = this.#init
    const text = JSON.stringify(frame)
    await redis.call((client) =>
      redis.publishCommand === 'SPUBLISH' ? client.spublish(channel, text) : client.publish(channel, text),
    )
  }
}
