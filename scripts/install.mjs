import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Raised when the way an installation is done, or what belongs to it, changes. */
const INSTALL_VERSION = '1'
const NODE_MAJOR = 24
/** A registry that is away shall be told in seconds, not after minutes of retries. */
const FETCH_LIMITS = {
  fetch_retries: '2',
  fetch_retry_factor: '2',
  fetch_retry_mintimeout: '500',
  fetch_retry_maxtimeout: '2000',
  fetch_timeout: '60000',
}
const UNREACHABLE =
  /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|FETCH_ERROR|error sending request|socket timeout|network (request|timeout)/i
const KEPT_LINES = 40

/** Something the reader can mend; told in one line. */
export class SetupError extends Error {}

/** Installs what the lockfile names, unless just that is installed already. */
export async function ensureInstalled(root) {
  const lockfile = join(root, 'pnpm-lock.yaml')
  if (!existsSync(lockfile))
    throw new SetupError('pnpm-lock.yaml is missing: this is not a complete checkout.')
  const stampFile = join(root, 'node_modules', '.tributary-installed')
  const stamp = createHash('sha256')
    .update([INSTALL_VERSION, process.platform, process.arch].join())
    .update(readFileSync(lockfile))
    .update(readFileSync(join(root, 'pnpm-workspace.yaml')))
    .digest('hex')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp && existsSync(nodeBinary(root)))
    return

  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  console.log(
    `Fetching ${packageManager}, and with it the packages that pnpm-lock.yaml names and Node ${NODE_MAJOR},`,
  )
  console.log('into node_modules. This happens once, and again when the lockfile changes.')
  await run(root, 'npx', ['--yes', packageManager, 'install', '--frozen-lockfile', '--reporter=append-only'])
  writeFileSync(stampFile, stamp)
  console.log('Everything is in place.')
}

/** The Node that runs everything: this one if it is new enough, else the one among the dependencies. */
export function node24(root) {
  const [major] = process.versions.node.split('.').map(Number)
  if (major >= NODE_MAJOR) return process.execPath
  return nodeBinary(root)
}

function nodeBinary(root) {
  return join(root, 'node_modules', 'nodejs', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
}

function run(root, command, args) {
  const child = spawn(command, args, { cwd: root, env: installEnv(), stdio: ['ignore', 'pipe', 'pipe'] })
  const progress = new ProgressLine(process.stdout)
  const lines = []
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream.setEncoding('utf8').on('data', (text) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      for (const line of parts.map((part) => part.trim()).filter(Boolean)) {
        progress.show(line)
        if (lines.push(line) > KEPT_LINES) lines.shift()
      }
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new SetupError(`${command} does not run: ${error.message}`)))
    child.on('close', (code) => {
      progress.end()
      if (code === 0) resolve()
      else reject(installError(code, lines))
    })
  })
}

function installError(code, lines) {
  const output = lines.join('\n')
  const [reason] = output.match(UNREACHABLE) ?? []
  if (reason) {
    return new SetupError(
      `the package registry cannot be reached (${reason}); check the network, a proxy, and npm's registry setting.`,
    )
  }
  console.error(output)
  return new SetupError(
    `the packages could not be installed (pnpm ended with ${code}); its last words are above.`,
  )
}

/** The caller's environment, with nothing in it that would leave out the tools or ask a question. */
function installEnv() {
  const env = { ...process.env, CI: 'true' }
  for (const name of ['NODE_ENV', 'npm_config_production', 'npm_config_omit', 'npm_config_only'])
    delete env[name]
  for (const [name, value] of Object.entries(FETCH_LIMITS)) {
    env[`npm_config_${name}`] ??= value
    env[`pnpm_config_${name}`] ??= value
  }
  return env
}

/** Shows how far the installation is: on a terminal one line that renews itself, elsewhere a line now and then. */
class ProgressLine {
  static TICK_MS = 3000
  #out
  #startedAt = Date.now()
  #text = 'fetching'
  #timer = setInterval(() => this.#draw(), ProgressLine.TICK_MS)

  constructor(out) {
    this.#out = out
  }

  show(line) {
    if (!line.startsWith('Progress:')) return
    this.#text = line.endsWith(', done') ? 'all is fetched, and put in its place' : line
    if (this.#out.isTTY) this.#draw()
  }

  end() {
    clearInterval(this.#timer)
    if (this.#out.isTTY) this.#out.write('\r\x1b[2K')
  }

  #draw() {
    const { isTTY, columns = 80 } = this.#out
    const line = `${Math.round((Date.now() - this.#startedAt) / 1000)} s: ${this.#text}`
    this.#out.write(isTTY ? `\r\x1b[2K${line.slice(0, columns - 1)}` : `${line}\n`)
  }
}
