import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { formatLogLine, type LogRecord, parseLogLine } from './log-line.ts'

export interface ServiceOptions {
  name: string
  /** The file that Node runs, from the root of the repository. */
  main: string
  root: string
  env: NodeJS.ProcessEnv
  /** Records below this pino level are not shown. */
  shownLevel: number
}

/**
 * One service as a child process. It says where it listens in its log (`"msg":"listening"`), ends by SIGTERM, and
 * is connected by an IPC channel, so that it notices when this process is gone.
 */
export class ServiceProcess {
  readonly name: string
  /** Resolves with the address the service listens on; never, if it ends before. */
  readonly listening: Promise<string>
  /** Resolves with what ended the process, in words. */
  readonly ended: Promise<string>
  /** Whether the service has said on stderr, in plain words, what is wrong. */
  hasComplained = false
  readonly #child: ChildProcess
  readonly #shownLevel: number

  constructor({ name, main, root, env, shownLevel }: ServiceOptions) {
    this.name = name
    this.#shownLevel = shownLevel
    const child = spawn(process.execPath, ['--conditions=@tributary/source', main], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    if (!child.stdout || !child.stderr) throw new Error('a service is spawned with pipes')
    const { stdout, stderr } = child
    this.#child = child
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
    })
    this.listening = new Promise((resolve) => {
      createInterface(stdout).on('line', (line) => {
        const record = this.#show(line, process.stdout)
        const url = record?.msg === 'listening' ? record.fields.url : undefined
        if (typeof url === 'string') resolve(url)
      })
    })
    createInterface(stderr).on('line', (line) => {
      this.hasComplained ||= this.#show(line, process.stderr) === undefined
    })
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined
  }

  /** Asks the service to drain and waits for its end; after `graceMs` it is killed. */
  async stop(graceMs: number): Promise<void> {
    if (!this.isRunning) return
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => {
      console.error(`tributary: the ${this.name} has not ended ${graceMs} ms after SIGTERM and is killed`)
      this.kill()
    }, graceMs)
    await this.ended
    clearTimeout(timer)
  }

  kill(): void {
    if (this.isRunning) this.#child.kill('SIGKILL')
  }

  #show(line: string, out: NodeJS.WriteStream): LogRecord | undefined {
    const record = parseLogLine(line)
    if (!record) out.write(`${line}\n`)
    else if (record.level >= this.#shownLevel) out.write(`${formatLogLine(this.name, record)}\n`)
    return record
  }
}
