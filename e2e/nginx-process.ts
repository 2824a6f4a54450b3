import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findProgram, freePort } from '@tributary/testkit'

const CONFIGURATION = new URL('../deploy/nginx.conf', import.meta.url)
const USUAL_PATHS = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/opt/homebrew/bin/nginx']
const START_LIMIT_MS = 10_000
const START_POLL_MS = 20

/** The nginx of this machine, if it has one. */
export function findNginx(): string | undefined {
  return findProgram(['nginx'], USUAL_PATHS)
}

/** An nginx with the configuration that we deploy, in front of a gateway. Its files are in a folder that goes with it. */
export class NginxProcess implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess
  readonly #folder: string
  #complaints = ''

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url
    this.#child = child
    this.#folder = folder
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text
    })
  }

  /** @throws Error with what nginx says, where it does not start. */
  static async start(executable: string, gateway: { readonly url: string }): Promise<NginxProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-nginx-'))
    // Started by root its workers are somebody else, who has to reach their temporary files.
    await chmod(folder, 0o755)
    const address = `127.0.0.1:${await freePort()}`
    const file = join(folder, 'nginx.conf')
    await writeFile(file, adapted(readFileSync(CONFIGURATION, 'utf8'), address, new URL(gateway.url).host))
    const child = spawn(executable, ['-p', folder, '-e', 'stderr', '-c', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const nginx = new NginxProcess(`http://${address}`, child, folder)
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
    return this.#complaints
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode, pid } = this.#child
    if (pid !== undefined && exitCode === null && signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #answering(): Promise<void> {
    const over = new Promise<never>((_, reject) => {
      this.#child.once('error', reject)
      this.#child.once('exit', (code) => reject(new Error(`nginx ended with ${code}:\n${this.#complaints}`)))
    })
    over.catch(() => undefined)
    const deadline = performance.now() + START_LIMIT_MS
    for (;;) {
      const answer = await Promise.race([over, fetch(`${this.url}/readyz`).catch(() => undefined)])
      if (answer?.ok) return
      if (performance.now() > deadline) throw new Error(`nginx does not answer:\n${this.#complaints}`)
      await Promise.race([over, delay(START_POLL_MS)])
    }
  }
}

/** The configuration with other addresses, in the foreground, and with all that is written in nginx's own folder. */
function adapted(configuration: string, address: string, gateway: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${name};`,
  )
  const replacements = [
    ['server gateway:8090;', `server ${gateway};`],
    ['listen 80;', `listen ${address};`],
    ['http {', `http {\naccess_log off;\n${paths.join('\n')}`],
  ] as const
  let text = `daemon off;\npid nginx.pid;\nerror_log stderr;\n${configuration}`
  for (const [given, replacement] of replacements) {
    if (text.split(given).length !== 2) throw new Error(`deploy/nginx.conf does not have \`${given}\` once`)
    text = text.replace(given, replacement)
  }
  return text
}
