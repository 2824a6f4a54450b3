import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { lastingPort } from '../lasting-port.ts'
import { findRedis, REDIS_MISSING } from './find-redis.ts'
import { GuardedProcess } from './guarded-process.ts'

const START_ATTEMPTS = 5
const RETRY_MS = 10
const LOG_FILE = 'redis.log'
/** A kill loses nothing that the kernel was given. With `everysec` Redis answers before that, while a sync is slow. */
const STORING = ['appendonly yes', 'appendfsync no', 'save ""']
const FLEETING = ['appendonly no', 'save ""']

export interface RedisServerOptions {
  /** Whether what was written is there after a `restart`, also after a `kill`. Default: no. */
  readonly persistent?: boolean
  /** Lines of the configuration file, as `maxmemory 10mb`. */
  readonly lines?: readonly string[]
  /** Default: a free one. */
  readonly port?: number
  /** Started as a Sentinel. */
  readonly sentinel?: boolean
}

/** A real redis-server on loopback, its files in a folder of its own. It ends with this process, whatever happens. */
export class RedisServer implements AsyncDisposable {
  readonly port: number
  readonly #program: string
  readonly #folder: string
  readonly #args: readonly string[]
  #process: GuardedProcess
  #isPaused = false

  private constructor(init: {
    port: number
    program: string
    folder: string
    args: readonly string[]
    process: GuardedProcess
  }) {
    this.port = init.port
    this.#program = init.program
    this.#folder = init.folder
    this.#args = init.args
    this.#process = init.process
  }

  /** Resolves once it takes commands. @throws Error with its log where it does not start, or is not installed. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const program = findRedis()
    if (program === undefined) throw new Error(REDIS_MISSING)
    for (let attempt = 1; ; attempt += 1) {
      const port = options.port ?? (await lastingPort())
      const folder = await mkdtemp(join(tmpdir(), 'tributary-redis-'))
      try {
        return await RedisServer.#startOn(port, program, folder, options)
      } catch (error) {
        const log = await readFile(join(folder, LOG_FILE), 'utf8').catch(() => '')
        await rm(folder, { recursive: true, force: true })
        // Somebody else took the port since.
        const isTaken = log.includes('already in use') && options.port === undefined
        if (!isTaken || attempt === START_ATTEMPTS)
          throw new Error(`redis-server does not start:\n${log}`, { cause: error })
      }
    }
  }

  static async #startOn(port: number, program: string, folder: string, options: RedisServerOptions) {
    const { persistent = false, sentinel = false, lines = [] } = options
    const server = ['enable-debug-command yes', ...(persistent ? STORING : FLEETING)]
    const file = join(folder, 'redis.conf')
    const all = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, `logfile ${LOG_FILE}`]
    await writeFile(file, `${[...all, ...(sentinel ? [] : server), ...lines].join('\n')}\n`)
    const args = sentinel ? [file, '--sentinel'] : [file]
    const process = await GuardedProcess.start(program, args, folder)
    const redis = new RedisServer({ port, program, folder, args, process })
    await redis.#answering()
    return redis
  }

  /** `redis://127.0.0.1:<port>`. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Of the process that runs now. */
  get pid(): number {
    return this.#process.pid
  }

  /** A connection for what a test wants to see or do there. Whoever asks closes it. */
  client(): Redis {
    const client = new Redis({ port: this.port, host: '127.0.0.1', retryStrategy: () => RETRY_MS })
    // Said again by every command that fails.
    client.on('error', () => undefined)
    return client
  }

  /** One command by a connection of its own, at once an error while it is paused: `run('CLIENT', 'KILL', 'TYPE', 'pubsub')`. */
  async run(command: string, ...args: (string | number)[]): Promise<unknown> {
    if (this.#isPaused) throw new Error('a paused server answers nothing')
    const client = this.client()
    try {
      return await client.call(command, ...args)
    } finally {
      client.disconnect()
    }
  }

  /** Ends it as an operator would; its files stay for `restart`. */
  stop(): Promise<void> {
    return this.#process.end('SIGTERM')
  }

  /** kill -9; its files stay for `restart`. */
  kill(): Promise<void> {
    return this.#process.end('SIGKILL')
  }

  /** SIGSTOP: it keeps its connections, takes new ones, and answers nothing. */
  pause(): void {
    this.#isPaused = true
    this.#process.signal('SIGSTOP')
  }

  resume(): void {
    this.#isPaused = false
    this.#process.signal('SIGCONT')
  }

  /** Starts it again on its port and in its folder; stopped first where it runs. Resolves once it takes commands. */
  async restart(): Promise<void> {
    await this.stop()
    this.#isPaused = false
    this.#process = await GuardedProcess.start(this.#program, this.#args, this.#folder)
    await this.#answering()
  }

  /** Its log so far. */
  log(): Promise<string> {
    return readFile(join(this.#folder, LOG_FILE), 'utf8')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #answering(): Promise<void> {
    const over = this.#process.exited.then(() => {
      throw new Error('the process has ended')
    })
    over.catch(() => undefined)
    const client = new Redis({
      port: this.port,
      host: '127.0.0.1',
      retryStrategy: () => RETRY_MS,
      maxRetriesPerRequest: null,
    })
    client.on('error', () => undefined)
    try {
      // Also an answer that it lacks a password, or the right to answer, is one.
      await Promise.race([over, client.ping().catch(() => undefined)])
    } finally {
      client.disconnect()
    }
  }
}

/** A redis-server of its own for whoever asks, on a free port. */
export function startRedis(options?: RedisServerOptions): Promise<RedisServer> {
  return RedisServer.start(options)
}
