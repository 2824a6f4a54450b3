import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { nativeProgram } from './native-program.ts'
import { pinned } from './pinning.ts'

/** How a server is spoken to. */
export interface Target {
  readonly port: number
  /** Its process, to tell what it uses. */
  readonly pid: number
  /** The path of a stream; `%d` is its number, `%s` its word. */
  readonly get: string
  readonly post: string
  /** Of a POST; `%s` is the event's data. */
  readonly body: string
  readonly postHeader?: string
  /** A file with a word a line. */
  readonly words?: string
}

export interface Opened {
  readonly wanted: number
  readonly opened: number
  readonly seconds: number
  readonly connectsPerS: number
  readonly serverCpuS: number
  /** Of the server. */
  readonly rssKb: number
}

export interface Load {
  readonly publishers: number
  readonly seconds: number
  /** Events a second. Default: each publisher sends as soon as its last event is answered. */
  readonly rate?: number
  /** Of an event's data. */
  readonly bytes: number
}

export interface Delivered {
  readonly streams: number
  readonly published: number
  readonly delivered: number
  readonly expected: number
  readonly seconds: number
  readonly deliveriesPerS: number
  readonly publishesPerS: number
  /** From the moment at which an event was due to be sent to that at which a stream was read. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly serverCpuS: number
  readonly clientCpuS: number
  readonly rssKb: number
}

/** The native client in a process of its own; it takes one step after the other. */
export class LoadClient implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #answers: AsyncIterator<string>

  constructor({ port, pid, get, post, body, postHeader, words }: Target) {
    const options = {
      port,
      pid,
      get,
      post,
      body,
      ...(postHeader && { 'post-header': postHeader }),
      ...(words && { words }),
    }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
    const [program = '', ...rest] = pinned('client', [nativeProgram('load-client'), ...args])
    this.#child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Opens streams until there are so many. @throws Error where one is refused. */
  async open(streams: number): Promise<Opened> {
    return allOpened(await this.#step(`open ${streams}`, isOpened))
  }

  /** Closes so many streams and opens them again. @throws Error where one is refused. */
  async reconnect(streams: number): Promise<Opened> {
    return allOpened(await this.#step(`reconnect ${streams}`, isOpened))
  }

  /** Publishes, and waits until all is delivered. @throws Error where an event or a stream is lost, or out of order. */
  async publish({ publishers, seconds, rate = 0, bytes }: Load): Promise<Delivered> {
    const result = await this.#step(`publish ${publishers} ${seconds} ${rate} ${bytes}`, isDelivered)
    return wholly(result)
  }

  /** Counts from here on what others publish. */
  async listen(): Promise<void> {
    await this.#step('listen', isListening)
  }

  /** Waits until so many events have come to every stream since `listen`. @throws as `publish`. */
  async heard(published: number): Promise<Delivered> {
    return wholly(await this.#step(`heard ${published}`, isDelivered))
  }

  /** What the server holds while nothing is sent. @throws Error where it closed a stream. */
  async idle(): Promise<Idle> {
    const result = await this.#step('idle', isIdle)
    if (result.dropped > 0) throw new Error(`the server closed ${result.dropped} streams`)
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exited
  }

  async #step<T>(line: string, isAnswer: (answer: unknown) => answer is T): Promise<T> {
    this.#child.stdin.write(`${line}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error(`the load client ended at: ${line}`)
    const answer: unknown = JSON.parse(value)
    if (!isAnswer(answer)) throw new Error(`an answer of another kind: ${value}`)
    return answer
  }
}

interface Idle {
  /** Of the server. */
  readonly rssKb: number
  readonly dropped: number
}

/** Beside the figures, what must be 0. */
interface Faults {
  readonly publishErrors: number
  readonly streamsShort: number
  readonly disordered: number
  readonly dropped: number
}

function allOpened(result: Opened): Opened {
  if (result.opened === result.wanted) return result
  throw new Error(`${result.opened} of ${result.wanted} streams opened`)
}

function wholly(result: Delivered & Faults): Delivered {
  const { published, publishErrors, delivered, expected, streamsShort, disordered, dropped } = result
  const faults = publishErrors + streamsShort + disordered + dropped
  if (published > 0 && faults === 0 && delivered === expected) return result
  throw new Error(
    `${delivered} of ${expected} deliveries came, ${streamsShort} streams did not get all, ` +
      `${disordered} came out of order, ${dropped} streams broke, ${publishErrors} events were refused`,
  )
}

function isListening(answer: unknown): answer is object {
  return typeof answer === 'object' && answer !== null && 'listening' in answer
}

function isOpened(answer: unknown): answer is Opened {
  return typeof answer === 'object' && answer !== null && 'connectsPerS' in answer
}

function isIdle(answer: unknown): answer is Idle {
  return typeof answer === 'object' && answer !== null && 'rssKb' in answer && 'dropped' in answer
}

function isDelivered(answer: unknown): answer is Delivered & Faults {
  return typeof answer === 'object' && answer !== null && 'deliveriesPerS' in answer
}
