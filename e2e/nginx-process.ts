import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findProgram, GuardedProcess, lastingPort } from '@tributary/testkit'

const CONFIGURATION = new URL('../deploy/nginx.conf', import.meta.url)
const USUAL_PATHS = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/opt/homebrew/bin/nginx']
const ERROR_LOG = 'error.log'
const START_LIMIT_MS = 10_000
const START_POLL_MS = 20

/** The nginx of this machine, if it has one. */
export function findNginx(): string | undefined {
  return findProgram(['nginx'], USUAL_PATHS)
}

export interface NginxOptions {
  readonly gateways: readonly { readonly url: string }[]
  /** Default: one that is free. */
  readonly port?: number
}

/** An nginx with the configuration that we deploy, in front of gateways. Its files are in a folder that goes with it. */
export class NginxProcess implements AsyncDisposable {
  readonly url: string
  readonly #executable: string
  readonly #folder: string
  #process: GuardedProcess

  private constructor(url: string, executable: string, folder: string, process: GuardedProcess) {
    this.url = url
    this.#executable = executable
    this.#folder = folder
    this.#process = process
  }

  /** @throws Error with what nginx says, where it does not start. */
  static async start(executable: string, { gateways, port }: NginxOptions): Promise<NginxProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-nginx-'))
    const address = `127.0.0.1:${port ?? (await lastingPort())}`
    const hosts = gateways.map(({ url }) => new URL(url).host)
    await writeFile(join(folder, 'nginx.conf'), adapted(readFileSync(CONFIGURATION, 'utf8'), address, hosts))
    const process = await run(executable, folder)
    const nginx = new NginxProcess(`http://${address}`, executable, folder, process)
    try {
      await nginx.#answering()
    } catch (error) {
      await nginx[Symbol.asyncDispose]()
      throw error
    }
    return nginx
  }

  /** What it wrote to its error log. */
  get complaints(): string {
    return readFileSync(join(this.#folder, ERROR_LOG), 'utf8')
  }

  get pid(): number {
    return this.#process.pid
  }

  /** kill -9; its files stay for `restart`. */
  kill(): Promise<void> {
    return this.#process.end('SIGKILL')
  }

  /** SIGSTOP: its sockets stay open, and nobody reads them. */
  pause(): void {
    this.#process.signal('SIGSTOP')
  }

  resume(): void {
    this.#process.signal('SIGCONT')
  }

  /** Starts it again on its port; stopped first where it runs. Resolves once it answers. */
  async restart(): Promise<void> {
    await this.#process.end('SIGTERM')
    this.#process = await run(this.#executable, this.#folder)
    await this.#answering()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end('SIGTERM')
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Whatever it answers: it may run before there is a gateway that does. */
  async #answering(): Promise<void> {
    const over = this.#process.exited.then(async () => {
      throw new Error(`nginx has ended:\n${await readFile(join(this.#folder, ERROR_LOG), 'utf8')}`)
    })
    over.catch(() => undefined)
    const deadline = performance.now() + START_LIMIT_MS
    for (;;) {
      const answer = await Promise.race([over, fetch(`${this.url}/metrics`).catch(() => undefined)])
      if (answer !== undefined) return
      if (performance.now() > deadline) throw new Error(`nginx does not answer:\n${this.complaints}`)
      await Promise.race([over, delay(START_POLL_MS)])
    }
  }
}

function run(executable: string, folder: string): Promise<GuardedProcess> {
  const args = ['-p', folder, '-e', ERROR_LOG, '-c', join(folder, 'nginx.conf')]
  return GuardedProcess.start(executable, args, folder)
}

/** The configuration with other addresses, as one process in the foreground, with all that is written in its own folder. */
function adapted(configuration: string, address: string, gateways: readonly string[]): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${name};`,
  )
  const servers = gateways.map((host) => `server ${host} $1;`).join('\n    ')
  const replacements = [
    [/server gateway-1:8090 (.*);\n +server gateway-2:8090 \1;/, servers],
    [/listen 80;/, `listen ${address};`],
    [/http \{/, `http {\naccess_log off;\n${paths.join('\n')}`],
    [/worker_processes auto;/, 'master_process off;'],
  ] as const
  let text = `daemon off;\npid nginx.pid;\nerror_log ${ERROR_LOG};\n${configuration}`
  for (const [given, replacement] of replacements) {
    if (text.split(given).length < 2) throw new Error(`deploy/nginx.conf does not have ${given}`)
    text = text.replace(given, replacement)
  }
  return text
}
