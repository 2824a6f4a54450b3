import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { lastingPort } from '@tributary/testkit'

/** How long a service may take until it listens, and until it has ended once asked to, in ms. */
const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 15_000
/** Lines of its output that are kept, to be shown when something goes wrong. */
const MAX_OUTPUT_LINES = 500

export interface ServiceProcessOptions {
  /** Variables beside the defaults of `startWorker` and `startGateway`. `undefined` takes a default away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Default: one that is free. */
  readonly port?: number
  /** Where it runs, and so where it looks for `.env` and `.data`. Default: an empty folder of its own, removed at its end. */
  readonly cwd?: string
  /** Called with each line that it writes, to either output. */
  readonly onLine?: (line: string) => void
}

/** Starts a worker, and waits until it listens. Its sample API is there. @throws Error with its output if it ends before. */
export async function startWorker(options: ServiceProcessOptions = {}): Promise<ServiceProcess> {
  return ServiceProcess.start('worker', 'WORKER_PORT', options)
}

export interface GatewayProcessOptions extends ServiceProcessOptions {
  /** Its workers. Default: one that is not there. */
  readonly workers?: readonly Pick<ServiceProcess, 'url'>[]
}

/** Starts a gateway, and waits until it listens. @throws Error with its output if it ends before. */
export async function startGateway(options: GatewayProcessOptions = {}): Promise<ServiceProcess> {
  const { workers = [{ url: `http://127.0.0.1:${await lastingPort()}` }], env } = options
  const workerUrls = workers.map(({ url }) => url).join(',')
  return ServiceProcess.start('gateway', 'GATEWAY_PORT', {
    ...options,
    env: { WORKER_URLS: workerUrls, ...env },
  })
}

/**
 * One of the services as a process of its own, run from source. `await using` ends it.
 *
 * It also ends by itself when the process that started it does, since their IPC channel closes then.
 */
export class ServiceProcess implements AsyncDisposable {
  readonly name: string
  readonly #child: ChildProcess
  readonly #exited: Promise<number | NodeJS.Signals>
  readonly #output: string[] = []
  readonly #release: () => Promise<void>
  #url = ''
  #over = false

  private constructor(name: string, child: ChildProcess, release: () => Promise<void>) {
    this.name = name
    this.#child = child
    this.#release = release
    this.#exited = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        this.#over = true
        resolve(signal ?? code ?? 0)
      })
    })
    this.#exited.catch(() => undefined)
  }

  static async start(
    name: 'worker' | 'gateway',
    portVariable: string,
    { env, port, cwd, onLine }: ServiceProcessOptions,
  ): Promise<ServiceProcess> {
    const ownFolder = cwd === undefined ? await mkdtemp(join(tmpdir(), `tributary-${name}-`)) : undefined
    const main = fileURLToPath(new URL(`../apps/${name}/src/main.ts`, import.meta.url))
    const child = spawn(process.execPath, ['--conditions=@tributary/source', main], {
      cwd: cwd ?? ownFolder,
      // Nothing of our own environment but what a process needs: a variable set here must not decide a test.
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        NODE_ENV: 'development',
        LOG_LEVEL: 'warn',
        DRAIN_MS: '5000',
        [portVariable]: String(port ?? (await lastingPort())),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const release = async () => {
      if (ownFolder !== undefined) await rm(ownFolder, { recursive: true, force: true })
    }
    const service = new ServiceProcess(name, child, release)
    try {
      service.#url = await service.#listening(onLine)
    } catch (error) {
      await service.kill()
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`the ${name} did not start, ${why}:\n${service.output}`, { cause: error })
    }
    return service
  }

  /** Where it listens, without a slash at the end. */
  get url(): string {
    return this.#url
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The last it wrote, to both outputs. */
  get output(): string {
    return this.#output.join('\n')
  }

  /** Its exit code, or the signal that ended it. */
  get exited(): Promise<number | NodeJS.Signals> {
    return this.#exited
  }

  /** Asks it to drain and end, and waits for that. @throws Error where it takes too long; it is killed then. */
  async stop(): Promise<number | NodeJS.Signals> {
    if (!this.#over) this.#child.kill('SIGTERM')
    const late = Promise.withResolvers<'late'>()
    const timer = setTimeout(() => late.resolve('late'), STOP_LIMIT_MS)
    const end = await Promise.race([this.#exited, late.promise])
    clearTimeout(timer)
    if (end === 'late') {
      await this.kill()
      throw new Error(`the ${this.name} did not end within ${STOP_LIMIT_MS} ms:\n${this.output}`)
    }
    await this.#release()
    return end
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    if (!this.#over) this.#child.kill('SIGKILL')
    await this.#exited.catch(() => undefined)
    await this.#release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #listening(onLine?: (line: string) => void): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        onLine?.(line)
        this.#output.push(line)
        if (this.#output.length > MAX_OUTPUT_LINES) this.#output.shift()
        const url = listeningUrl(line)
        if (url !== undefined) resolve(url)
      })
    }
    const late = () => reject(new Error(`it does not listen after ${START_LIMIT_MS / 1_000} s`))
    const timer = setTimeout(late, START_LIMIT_MS)
    this.#exited.catch(reject)
    // Not once it has ended alone: what it wrote last, and why, is read until then.
    this.#child.once('close', (code, signal) => reject(new Error(`it ended with ${signal ?? code}`)))
    return promise.finally(() => clearTimeout(timer))
  }
}

/** The address in the line by which a service says that it listens. */
function listeningUrl(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const { msg, url }: { msg?: unknown; url?: unknown } = JSON.parse(line)
    return msg === 'listening' && typeof url === 'string' ? url : undefined
  } catch {
    return undefined
  }
}
