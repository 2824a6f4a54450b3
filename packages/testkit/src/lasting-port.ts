import { rmSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Below the ports that systems give to outgoing connections. */
const FIRST_PORT = 20_000
const LAST_PORT = 30_000
/** Of all processes of this machine: one file a port, with the id of the process that it was given to. */
const CLAIMS = join(tmpdir(), 'tributary-ports')
const ours = new Set<string>()

/**
 * A TCP port of loopback that stays free while the service that has it is down. One that the system hands out by itself
 * may be given to somebody else meanwhile; even to whoever tries to reach the service, which would then be connected to
 * itself. Nor is it given to another caller while this process lives.
 *
 * @param random from 0 up to, and without, 1. Default: `Math.random`.
 */
export async function lastingPort(random: () => number = Math.random): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(random() * (LAST_PORT - FIRST_PORT + 1))
    if ((await isFreePort(port)) && (await claim(port))) return port
  }
}

/** Answers whether nobody had it. What a process claimed that is gone is nobody's. */
async function claim(port: number): Promise<boolean> {
  const file = join(CLAIMS, String(port))
  await mkdir(CLAIMS, { recursive: true })
  const owner = Number(await readFile(file, 'utf8').catch(() => 0))
  if (owner > 0 && isAlive(owner)) return false
  if (owner > 0) rmSync(file, { force: true })
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' })
  } catch {
    // Another was quicker.
    return false
  }
  if (ours.size === 0) process.once('exit', () => ours.forEach((each) => void rmSync(each, { force: true })))
  ours.add(file)
  return true
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // One of another user is there, too.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

/** Whether nothing listens on a port of loopback now. */
export function isFreePort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
