import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceProcess } from '../processes.ts'

export interface ChaosServiceOptions {
  readonly name: 'gateway' | 'worker'
  /** Where the process runs, and so keeps its data; and where its output goes. Made where they are missing. */
  readonly folder: string
  readonly logFolder: string
  start(folder: string): Promise<ServiceProcess>
  /** Called where it ends without being asked to, or does not start. */
  onFailure(fault: string): void
}

/** A service that is killed, stopped and restarted over its own data. One thing at a time is done to it. */
export class ChaosService implements AsyncDisposable {
  readonly name: string
  readonly #options: ChaosServiceOptions
  #process: ServiceProcess | undefined
  #turn: Promise<void> = Promise.resolve()
  #starts = 0
  #isClosed = false

  constructor(options: ChaosServiceOptions) {
    this.name = options.name
    this.#options = options
  }

  /** How often it was started. */
  get starts(): number {
    return this.#starts
  }

  start(): Promise<void> {
    return this.#next(() => this.#start())
  }

  /** `kill -9`, and a start over what is left after `downMs`. */
  crash(downMs: number): Promise<void> {
    return this.#next(async () => {
      const process = this.#letGo()
      await process?.kill()
      await this.#keepLog(process)
      await delay(downMs)
      await this.#start()
    })
  }

  /** SIGTERM, and a start once it has ended, as a deployment does. */
  deploy(): Promise<void> {
    return this.#next(async () => {
      const process = this.#letGo()
      const end = await process?.stop()
      if (end !== undefined && end !== 0)
        this.#options.onFailure(`the ${this.name} ended with ${end} on SIGTERM`)
      await this.#keepLog(process)
      await this.#start()
    })
  }

  /** SIGSTOP, and SIGCONT after `ms`. */
  pause(ms: number): Promise<void> {
    return this.#next(async () => {
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
    return this.#turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    // One that is stopped does not notice that its starter has gone.
    this.#signal('SIGCONT')
    await this.#turn
    const process = this.#letGo()
    await process?.kill()
    await this.#keepLog(process)
  }

  #next(act: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(() => (this.#isClosed ? undefined : act()))
    this.#turn = done.catch((error: unknown) => {
      this.#options.onFailure(error instanceof Error ? error.message : String(error))
    })
    return this.#turn
  }

  async #start(): Promise<void> {
    const { folder, logFolder, start } = this.#options
    if (this.#isClosed) return
    await Promise.all([mkdir(folder, { recursive: true }), mkdir(logFolder, { recursive: true })])
    this.#starts += 1
    const process = await start(folder)
    this.#process = process
    void process.exited.then((end) => {
      if (this.#process !== process) return
      this.#process = undefined
      this.#options.onFailure(`the ${this.name} ended by itself with ${end}:\n${process.output}`)
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
