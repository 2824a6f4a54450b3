// What `npm start`, `npm test` and `npm run cluster` run: sees to the dependencies and to Node 24, then hands over to
// the script of that name. Plain JavaScript without dependencies, because it runs before there are any, on any Node from 20.20.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled, node24, SetupError } from './install.mjs'

const OLDEST_NODE = [20, 20]
const PARENT_POLL_MS = 500
const COMMANDS = { start: 'scripts/start.ts', test: 'scripts/test.ts', cluster: 'e2e/cluster/run.ts' }
const root = dirname(dirname(fileURLToPath(import.meta.url)))

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return
  throw new SetupError(`Node ${OLDEST_NODE.join('.')} or later is needed, this is ${process.versions.node}.`)
}

/**
 * Runs the script in a process group of its own, so that a Ctrl-C in the terminal reaches it once, through here.
 * It notices by the closed IPC channel when this process is gone.
 */
function handOver(node, command, args) {
  const child = spawn(node, ['--conditions=@tributary/source', join(root, COMMANDS[command]), ...args], {
    cwd: root,
    detached: true,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  child.on('error', (error) => fail(`Node 24 does not run here: ${error.message}`))
  // `start` and `cluster` drain their services themselves; of `test`, all processes of the group end.
  const target = command === 'test' ? -child.pid : child.pid
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.exitCode === null && process.kill(target, signal))
  }
  // An npm that is killed outright tells nobody; then our parent is another.
  const parent = process.ppid
  if (process.env.npm_lifecycle_event) {
    setInterval(() => process.ppid !== parent && child.connected && child.disconnect(), PARENT_POLL_MS)
  }
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
}

function fail(message) {
  console.error(`tributary: ${message}`)
  process.exit(1)
}

const [command, ...args] = process.argv.slice(2)
try {
  checkNode()
  if (!Object.hasOwn(COMMANDS, command ?? ''))
    throw new SetupError(`usage: node scripts/bootstrap.mjs ${Object.keys(COMMANDS).join('|')}`)
  await ensureInstalled(root)
  handOver(node24(root), command, args)
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  fail(error.message)
}
