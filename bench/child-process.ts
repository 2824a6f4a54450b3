import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pinned, type Role } from './pinning.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const START_POLL_MS = 20
const START_LIMIT_MS = 10_000

export interface StartOptions {
  /** Modules of this folder that are loaded before the file. */
  readonly imports?: readonly string[]
  readonly nodeArgs?: readonly string[]
  /** Whose core it runs on; without, on any. */
  readonly role?: Role
}

/** A program in a process of its own, so that it is measured apart from whoever measures. */
export class BenchProcess implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess
  readonly #dataDir: string

  private constructor(child: ChildProcess, url: string, dataDir: string) {
    this.#child = child
    this.url = url
    this.#dataDir = dataDir
  }

  /** Starts a file of the workspace, and waits for the line in which it says its `url`. Its data is in a folder that ends with it. */
  static async start(
    file: string,
    env: Readonly<Record<string, string>> = {},
    { imports = [], nodeArgs = [], role }: StartOptions = {},
  ): Promise<BenchProcess> {
    const loaded = imports.map((module) => `--import=${new URL(module, import.meta.url).href}`)
    const command = [process.execPath, '--conditions=@tributary/source', ...nodeArgs, ...loaded, file]
    const dataDir = await mkdtemp(join(tmpdir(), 'tributary-bench-'))
    return BenchProcess.#sayingItsUrl(command, env, dataDir, role)
  }

  /** The same for a program that is no JavaScript. */
  static async startProgram(program: string, role?: Role): Promise<BenchProcess> {
    const dataDir = await mkdtemp(join(tmpdir(), 'tributary-bench-'))
    return BenchProcess.#sayingItsUrl([program], {}, dataDir, role)
  }

  /** For a program that says nothing: `prepare` writes into its folder what it needs and answers its command; it runs when `url` answers. */
  static async startSilent(
    url: string,
    prepare: (folder: string) => Promise<readonly string[]>,
    role?: Role,
  ): Promise<BenchProcess> {
    const dataDir = await mkdtemp(join(tmpdir(), 'tributary-bench-'))
    const child = spawnPinned(await prepare(dataDir), {}, dataDir, role)
    const bench = new BenchProcess(child, url, dataDir)
    const deadline = performance.now() + START_LIMIT_MS
    while (!(await answers(url))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        await bench[Symbol.asyncDispose]()
        throw new Error(`nothing answers at ${url}`)
      }
      await delay(START_POLL_MS)
    }
    return bench
  }

  static async #sayingItsUrl(
    command: readonly string[],
    env: Readonly<Record<string, string>>,
    dataDir: string,
    role: Role | undefined,
  ): Promise<BenchProcess> {
    const child = spawnPinned(command, env, dataDir, role)
    if (child.stdout === null) throw new Error('a pipe was asked for')
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /"url":"([^"]+)"/.exec(line)?.[1]
      if (url === undefined) continue
      child.stdout.resume()
      return new BenchProcess(child, url, dataDir)
    }
    throw new Error(`${command.at(-1)} ended before it listened`)
  }

  /** The process that does the work: its first child, where it has one, as nginx has. */
  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('it did not start')
    const [child] = childrenOf(pid)
    return child ?? pid
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  /** Tells a module that was loaded into it something that it does not answer. */
  tell(message: string | object): void {
    // Whoever asks it next learns that it is gone.
    this.#child.send(message, () => undefined)
  }

  /** Asks a module that was loaded into it, and waits for its answer. @throws where it ends before, or is told to stop. */
  async ask<T>(
    question: string | object,
    isAnswer: (answer: unknown) => answer is T,
    stop?: AbortSignal,
  ): Promise<T> {
    const over = new AbortController()
    const onExit = () =>
      over.abort(new Error(`a process ended before it answered ${JSON.stringify(question)}`))
    this.#child.once('exit', onExit)
    this.#child.send(question, (error) => error === null || onExit())
    const signal = AbortSignal.any([over.signal, ...(stop === undefined ? [] : [stop])])
    try {
      const [answer]: unknown[] = await once(this.#child, 'message', { signal })
      if (!isAnswer(answer)) throw new Error(`an answer of another kind: ${JSON.stringify(answer)}`)
      return answer
    } catch (error) {
      throw over.signal.aborted ? over.signal.reason : error
    } finally {
      this.#child.off('exit', onExit)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    await rm(this.#dataDir, { recursive: true, force: true })
  }
}

function spawnPinned(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  dataDir: string,
  role: Role | undefined,
): ChildProcess {
  const [program = '', ...args] = pinned(role, command)
  return spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, LOG_LEVEL: 'warn', DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
}

/** As Linux tells them; none elsewhere. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g)?.map(Number) ?? []
  } catch {
    return []
  }
}

/** Whatever it says: a port listens before there is a worker behind it. */
async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).body?.cancel()
    return true
  } catch {
    return false
  }
}
