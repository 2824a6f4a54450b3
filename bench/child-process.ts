import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** A program of the workspace in a process of its own, so that it is measured apart from whoever measures. */
export class BenchProcess implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  /** Starts a file, and waits for the line in which it says its `url`. */
  static async start(file: string, env: Readonly<Record<string, string>> = {}): Promise<BenchProcess> {
    const child = spawn(process.execPath, ['--conditions=@tributary/source', file], {
      cwd: ROOT,
      env: { ...process.env, LOG_LEVEL: 'warn', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /"url":"([^"]+)"/.exec(line)?.[1]
      if (url === undefined) continue
      child.stdout.resume()
      return new BenchProcess(child, url)
    }
    throw new Error(`${file} ended before it listened`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.kill('SIGTERM')
    await once(this.#child, 'exit')
  }
}
