import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceProcess } from '../processes.ts'
import { Turns } from './turns.ts'

export interface RestartedServiceOptions {
  /** As `gateway-1`. */
  readonly name: string
  /** Where the process runs, and so keeps its data; and where its output goes. Made where they are missing. */
  readonly folder: string
  readonly logFolder: string
  start(folder: string): Promise<ServiceProcess>
  /** After how long it is started again where it ends by itself. Default: never. */
  readonly comeBackMs?: number
  /** Called where it ends without being asked to, or does not start. */
  onFailure(fault: string): void
}

/** A service that is killed, stopped and restarted over its own data. One thing at a time is done to it. */
export class RestartedService implements AsyncDisposable {
  readonly name: string
  readonly #options: RestartedServiceOptions
  #process: ServiceProcess | undefined
  readonly #turns: Turns
  #starts = 0
  #isClosed = false

  constructor(options: RestartedServiceOptions) {
    this.name = options.name
    this.#options = options
    this.#turns = new Turns(options.onFailure)
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** How often it was started. */
  get starts(): number {
    return this.#starts
  }

  start(): Promise<void> {
    return this.#turns.take(() => this.#start())
  }

  /** `kill -9`, and a start over what is left after `downMs`. */
  crash(downMs: number): Promise<void> {
    return this.#turns.take(async () => {
      const process = this.#letGo()
      await process?.kill()
      await this.#keepLog(process)
      await delay(downMs)
      await this.#start()
    })
  }

  /** SIGTERM, and a start once it has ended, as a deployment does. */
  deploy(): Promise<void> {
    return this.#turns.take(async () => {
      const process = this.#letGo()
      const end = await process?.stop()
      if (end !== undefined && end !== 0) this.#options.onFailure(`${this.name} ended with ${end} on SIGTERM`)
      await this.#keepLog(process)
      await this.#start()
    })
  }

  /** SIGTERM, without a start after it; a second call does nothing. */
  stop(): Promise<void> {
    return this.#turns.take(async () => {
      const process = this.#letGo()
      await process?.stop()
      await this.#keepLog(process)
    })
  }

  /** SIGSTOP, and SIGCONT after `ms`. */
  pause(ms: number): Promise<void> {
    return this.#turns.take(async () => {
      this.#signal('SIGSTOP')
      try {
        await delay(ms)
      } finally {
        this.#signal('SIGCONT')
      }
    })
  }

  /** Resolves once all that is being done to it is done. */
  settled(): Promise<void> {
    return this.#turns.settled()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    // One that is stopped does not notice that its starter has gone.
    this.#signal('SIGCONT')
    this.#turns.close()
    await this.#turns.settled()
    const process = this.#letGo()
    await process?.kill()
    await this.#keepLog(process)
  }

  async #start(): Promise<void> {
    const { folder, logFolder, start, onFailure, comeBackMs } = this.#options
    if (this.#isClosed) return
    await Promise.all([mkdir(folder, { recursive: true }), mkdir(logFolder, { recursive: true })])
    this.#starts += 1
    const process = await start(folder)
    this.#process = process
    void process.exited.then((end) => {
      if (this.#process !== process) return
      this.#process = undefined
      onFailure(`${this.name} ended by itself with ${end}:\n${process.output}`)
      if (comeBackMs !== undefined) void this.#turns.take(() => delay(comeBackMs).then(() => this.#start()))
    })
  }

  /** From here on its end is no surprise. */
  #letGo(): ServiceProcess | undefined {
    const process = this.#process
    this.#process = undefined
    return process
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid
    if (pid === undefined) return
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended meanwhile.
    }
  }

  async #keepLog(process: ServiceProcess | undefined): Promise<void> {
    if (process === undefined || process.output === '') return
    const file = join(this.#options.logFolder, `${this.name}-${String(this.#starts).padStart(3, '0')}.log`)
    await writeFile(file, `${process.output}\n`)
  }
}
