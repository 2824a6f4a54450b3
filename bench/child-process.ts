import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** A program of the workspace in a process of its own, so that it is measured apart from whoever measures. */
export class BenchProcess implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess
  readonly #dataDir: string

  private constructor(child: ChildProcess, url: string, dataDir: string) {
    this.#child = child
    this.url = url
    this.#dataDir = dataDir
  }

  /** Starts a file, and waits for the line in which it says its `url`. Its data is in a folder that ends with it. */
  static async start(
    file: string,
    env: Readonly<Record<string, string>> = {},
    { imports = [] }: { imports?: readonly string[] } = {},
  ): Promise<BenchProcess> {
    const dataDir = await mkdtemp(join(tmpdir(), 'tributary-bench-'))
    const loaded = imports.map((module) => `--import=${new URL(module, import.meta.url).href}`)
    const child = spawn(process.execPath, ['--conditions=@tributary/source', ...loaded, file], {
      cwd: ROOT,
      env: { ...process.env, LOG_LEVEL: 'warn', DATA_DIR: dataDir, ...env },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    if (child.stdout === null) throw new Error('a pipe was asked for')
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /"url":"([^"]+)"/.exec(line)?.[1]
      if (url === undefined) continue
      child.stdout.resume()
      return new BenchProcess(child, url, dataDir)
    }
    throw new Error(`${file} ended before it listened`)
  }

  /** Asks a module that was loaded into it, and waits for its answer. */
  async ask<T>(question: string | object, isAnswer: (answer: unknown) => answer is T): Promise<T> {
    this.#child.send(question)
    const [answer]: unknown[] = await once(this.#child, 'message')
    if (!isAnswer(answer)) throw new Error(`an answer of another kind: ${JSON.stringify(answer)}`)
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGTERM')
      await once(this.#child, 'exit')
    }
    await rm(this.#dataDir, { recursive: true, force: true })
  }
}
