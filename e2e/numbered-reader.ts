import { get, type IncomingMessage } from 'node:http'
import { SseDecoder, type WireEvent } from '@tributary/protocol'

/** A reader that keeps no more of large events than their numbers, which their data begins with: `{"n":1,…`. */
export class NumberedReader {
  readonly numbers: number[] = []
  /** Control frames, as `type data`. */
  readonly told: string[] = []
  cursor: string | undefined
  /** Resolves once its answer has ended or was cut. */
  readonly ended: Promise<void>
  readonly #answer: IncomingMessage
  readonly #waiting: { readonly number: number; readonly resolve: () => void }[] = []

  private constructor(answer: IncomingMessage) {
    this.#answer = answer
    const decoder = new SseDecoder({ onEvent: (event) => this.#onEvent(event) })
    answer.on('data', (bytes: Uint8Array) => decoder.feed(bytes))
    answer.on('error', () => undefined)
    this.ended = new Promise((resolve) => answer.once('close', resolve))
  }

  /** Resolves once it is connected. */
  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<NumberedReader> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url, { headers, agent: false }, resolve).once('error', reject)
    })
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`)
    const reader = new NumberedReader(answer)
    await reader.#has(0)
    return reader
  }

  get connectionId(): unknown {
    const [connection = ''] = this.told
    const { clientId }: { clientId?: unknown } = JSON.parse(connection.slice('connection '.length))
    return clientId
  }

  /** Reads nothing more until it resumes. */
  pause(): void {
    this.#answer.pause()
  }

  resume(): void {
    this.#answer.resume()
  }

  /** Resolves once it has the event of this number, or a later one. */
  until(number: number): Promise<void> {
    return this.#has(number)
  }

  close(): void {
    this.#answer.destroy()
  }

  #has(number: number): Promise<void> {
    if (this.#reached >= number) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ number, resolve }))
  }

  /** -1 until it is connected. */
  get #reached(): number {
    return this.numbers.at(-1) ?? (this.told.length > 0 ? 0 : -1)
  }

  #onEvent({ id, type, data }: WireEvent): void {
    if (id !== undefined) this.cursor = id
    if (type === 'large') this.numbers.push(Number(/^\{"n":(\d+),/.exec(data)?.[1]))
    else this.told.push(`${type} ${data}`)
    const reached = this.#reached
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.number <= reached) waiting.resolve()
      else this.#waiting.push(waiting)
    }
  }
}
