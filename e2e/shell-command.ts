import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'

export interface ShellCommandOptions {
  readonly cwd: string
  /** All of its environment. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A command as a terminal runs it: by bash, and in a process group of its own, which Ctrl-C reaches as a whole. */
export class ShellCommand implements AsyncDisposable {
  /** Its exit code, or the signal that ended it; once nobody holds its output any more. */
  readonly ended: Promise<number | NodeJS.Signals>
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  #output = ''
  #complaints = ''

  constructor(text: string, { cwd, env }: ShellCommandOptions) {
    const child = spawn('bash', ['-c', text], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      this.#output += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.#complaints += chunk
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(signal ?? code ?? 0))
    })
    this.ended.catch(() => undefined)
  }

  get output(): string {
    return this.#output
  }

  /** What it wrote on standard error: progress, and what went wrong. */
  get complaints(): string {
    return this.#complaints
  }

  /** Whether its process group has a process left. */
  get isAlive(): boolean {
    return this.#signal(0)
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#signal('SIGINT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal('SIGKILL')
    await this.ended.catch(() => undefined)
  }

  #signal(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.#child
    if (pid === undefined) return false
    try {
      return process.kill(-pid, signal)
    } catch {
      return false
    }
  }
}
