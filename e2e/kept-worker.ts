import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CollectedEvent, EventCollector, lastingPort } from '@tributary/testkit'
import { type ServiceProcess, startWorker } from './processes.ts'

/** A worker that keeps its runs in a folder of its own, and can be killed, stopped and brought back at one address. */
export class KeptWorker implements AsyncDisposable {
  readonly #folder: string
  readonly #port: number
  readonly #env: Readonly<Record<string, string>>
  #process: ServiceProcess

  private constructor(
    folder: string,
    port: number,
    env: Readonly<Record<string, string>>,
    process: ServiceProcess,
  ) {
    this.#folder = folder
    this.#port = port
    this.#env = env
    this.#process = process
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<KeptWorker> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-kept-'))
    const port = await lastingPort()
    const whole = { STORE: 'sqlite', OUTBOUND_ALLOW: '127.0.0.1', ...env }
    return new KeptWorker(folder, port, whole, await startWorker({ cwd: folder, port, env: whole }))
  }

  get url(): string {
    return this.#process.url
  }

  /** What its process wrote. */
  get output(): string {
    return this.#process.output
  }

  kill(): Promise<void> {
    return this.#process.kill()
  }

  /** Stops it where it is, as a machine that is put to sleep. */
  freeze(): void {
    this.#signal('SIGSTOP')
  }

  /** Lets it go on as if nothing had been. */
  thaw(): void {
    this.#signal('SIGCONT')
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const { pid } = this.#process
    if (pid !== undefined) process.kill(pid, signal)
  }

  /** Asks it to drain and end. Answers its exit code. */
  stop(): Promise<number | NodeJS.Signals> {
    return this.#process.stop()
  }

  async comeBack(): Promise<void> {
    this.#process = await startWorker({ cwd: this.#folder, port: this.#port, env: this.#env })
  }

  /** Starts parallel tasks. */
  async start(body: unknown, headers: Readonly<Record<string, string>> = {}) {
    const answer = await fetch(`${this.url}/api/sse/emitter/parallel-tasks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    if (answer.status !== 202) throw new Error(`it was answered ${answer.status}: ${await answer.text()}`)
    return { answer, runId: answer.headers.get('run-id') ?? '' }
  }

  /** Reads a run, from a cursor where one is given. */
  read(runId: string, cursor?: string): Promise<EventCollector> {
    const headers = cursor === undefined ? {} : { 'last-event-id': cursor }
    return EventCollector.open(`${this.url}/api/runs/${runId}/events`, { headers })
  }

  /** Reads a run to its end. Answers the events of its log. */
  async readAll(runId: string, cursor?: string): Promise<CollectedEvent[]> {
    await using reader = await this.read(runId, cursor)
    await reader.waitFor('complete', 30_000)
    return loggedBy(reader)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A process that is stopped is killed all the same.
    await this.#process.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** The events of the log that a reader has. */
export function loggedBy({ events }: EventCollector): CollectedEvent[] {
  const control = ['connection', 'heartbeat', 'disconnected', 'gap']
  return events.filter(({ type }) => !control.includes(type))
}
