import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { ProgramOptions, ProgramStats, Question } from './program-port.ts'

const PROGRAM = join(import.meta.dirname, 'stream-program.ts')
const NODE_26 = join(dirname(createRequire(import.meta.url).resolve('nodejs-26/package.json')), 'bin', 'node')

/** The Node that the project runs on, and the next. */
export const NODES = [
  { line: 24, binary: process.execPath },
  { line: 26, binary: NODE_26 },
]

export interface StartOptions extends ProgramOptions {
  readonly binary: string
  /** For Node itself. */
  readonly flags?: readonly string[]
}

/** The server of streams, running. It must not have died when the test is over, nor said anything. */
export class StreamProcess implements AsyncDisposable {
  readonly port: number
  readonly #child: ChildProcess
  readonly #said: string[]

  private constructor(child: ChildProcess, port: number, said: string[]) {
    this.#child = child
    this.port = port
    this.#said = said
  }

  static async start({ binary, flags = [], ...options }: StartOptions): Promise<StreamProcess> {
    const args = ['--conditions=@tributary/source', ...flags, PROGRAM, JSON.stringify(options)]
    const child = spawn(binary, args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'], env: {} })
    const said: string[] = []
    child.stderr?.setEncoding('utf8').on('data', (text: string) => said.push(text))
    const died = once(child, 'exit').then(() => {
      throw new Error(`the program did not start: ${said.join('')}`)
    })
    const [{ port }] = await Promise.race([once(child, 'message'), died])
    died.catch(() => undefined)
    return new StreamProcess(child, port, said)
  }

  /** What it has written to its standard error. */
  get complaints(): string {
    return this.#said.join('')
  }

  stats(): Promise<ProgramStats> {
    return this.ask({ ask: 'stats' })
  }

  /** One question at a time. */
  async ask<Answer>(question: Question): Promise<Answer> {
    const stopped = new AbortController()
    const { signal } = stopped
    const answered = once(this.#child, 'message', { signal })
    const died = once(this.#child, 'exit', { signal }).then(() => {
      throw new Error(`the program has died: ${this.complaints}`)
    })
    this.#child.send(question)
    const [{ said }] = await Promise.race([answered, died])
    for (const other of [answered, died]) other.catch(() => undefined)
    stopped.abort()
    return said
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit')
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new Error(`the program has died: ${this.complaints}`)
    }
    this.#child.kill('SIGKILL')
    await exited
  }
}
