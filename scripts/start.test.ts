import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'

/** A service that keeps the contract with start.ts, and tells on stdout what happens to it. */
const STUB = `
import { createServer } from 'node:http'
const name = process.argv[1].split('/').at(-3)
const port = Number(process.env[name.toUpperCase() + '_PORT'])
const log = (msg, more = {}) => console.log(JSON.stringify({ level: 30, time: Date.now(), pid: process.pid, msg, ...more }))
if (process.env.BROKEN === name) {
  console.error(name + ': GATEWAY_PORT must be a number')
  process.exit(1)
}
const server = createServer((request, response) => {
  if (request.url === '/crash') process.kill(process.pid, 'SIGKILL')
  response.end(String(process.env.WORKER_URLS))
})
server.listen(port, '127.0.0.1', () => {
  console.log(JSON.stringify({ level: 40, time: 0, msg: 'careful', port }))
  log('listening', { url: 'http://127.0.0.1:' + server.address().port })
})
let signals = 0
const drain = (why) => {
  signals += 1
  console.log('plain ' + name + ' ' + why + ' ' + signals)
  if (process.env.STUBBORN) return
  server.close()
  setTimeout(() => process.exit(0), 50)
}
process.on('SIGTERM', () => drain('SIGTERM'))
process.on('SIGINT', () => drain('SIGINT'))
process.on('disconnect', () => drain('disconnect'))
`

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return String(typeof address === 'object' && address ? address.port : 0)
}

class Run {
  output = ''
  readonly child: ChildProcess
  readonly exitCode: Promise<number | null>

  constructor(root: string, env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, [join(root, 'scripts/start.ts')], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    this.exitCode = once(this.child, 'exit').then(([code]) => code)
    onTestFinished(() => {
      this.child.kill('SIGKILL')
    })
  }

  shows(text: string | RegExp): Promise<void> {
    return expect.poll(() => this.output, { timeout: 8_000 }).toMatch(text)
  }
}

describe('npm start', { timeout: 15_000 }, () => {
  let root: string
  let env: Record<string, string>
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'tributary-start-'))
    for (const file of ['start.ts', 'service-process.ts', 'log-line.ts']) {
      cpSync(join(import.meta.dirname, file), join(root, 'scripts', file))
    }
    writeFileSync(join(root, 'package.json'), '{"type":"module"}')
    for (const main of ['apps/worker/src/main.ts', 'apps/gateway/src/main.ts']) {
      mkdirSync(dirname(join(root, main)), { recursive: true })
      writeFileSync(join(root, main), STUB)
    }
    env = { WORKER_PORT: await freePort(), GATEWAY_PORT: await freePort() }
  })
  afterEach(() => rmSync(root, { recursive: true }))

  test('shows where things are, hides info, gives the gateway its worker, and drains both once', async () => {
    const run = new Run(root, env)
    await run.shows('Ctrl-C ends both.')
    expect(run.output).toContain(`curl -N http://127.0.0.1:${env.GATEWAY_PORT}/api/sse/managed/connect`)
    expect(run.output).toMatch(/^\d\d:\d\d:\d\d worker WARN careful port=\d+$/m)
    expect(run.output).not.toContain('listening')
    const answer = await fetch(`http://127.0.0.1:${env.GATEWAY_PORT}/`)
    expect(await answer.text()).toBe(`http://127.0.0.1:${env.WORKER_PORT}`)

    run.child.kill('SIGINT')
    expect(await run.exitCode).toBe(0)
    await run.shows('plain worker SIGTERM 1')
    await run.shows('plain gateway SIGTERM 1')
    expect(run.output).not.toMatch(/plain \w+ \w+ 2/)
    await expect(fetch(`http://127.0.0.1:${env.GATEWAY_PORT}/`)).rejects.toThrow()
  })

  test('leaves WORKER_URLS of an .env file alone, and learns of the address at any log level', async () => {
    writeFileSync(join(root, '.env'), 'WORKER_URLS=http://10.0.0.1:1\nLOG_LEVEL=error\n')
    const run = new Run(root, env)
    await run.shows('Ctrl-C ends both.')
    expect(run.output).not.toContain('careful')
    expect(await (await fetch(`http://127.0.0.1:${env.GATEWAY_PORT}/`)).text()).toBe('undefined')
  })

  test("shows a service's own line when it cannot start, ends the other, and fails", async () => {
    const run = new Run(root, { ...env, BROKEN: 'gateway' })
    expect(await run.exitCode).toBe(1)
    await run.shows('gateway: GATEWAY_PORT must be a number')
    expect(run.output).not.toContain('unexpectedly')
    await run.shows('plain worker SIGTERM 1')
  })

  test('tells in one line that a service died, ends the other, and fails', async () => {
    const run = new Run(root, env)
    await run.shows('Ctrl-C ends both.')
    await fetch(`http://127.0.0.1:${env.WORKER_PORT}/crash`).catch(() => undefined)
    expect(await run.exitCode).toBe(1)
    await run.shows('tributary: the worker ended unexpectedly (SIGKILL)')
    await run.shows('plain gateway SIGTERM 1')
  })

  test('kills at the second Ctrl-C', async () => {
    const run = new Run(root, { ...env, STUBBORN: '1' })
    await run.shows('Ctrl-C ends both.')
    run.child.kill('SIGINT')
    await run.shows('plain gateway SIGTERM')
    const isStillThere = () => run.child.kill('SIGINT')
    await expect.poll(isStillThere, { timeout: 5_000, interval: 300 }).toBe(false)
    expect(await run.exitCode).toBe(0)
  })

  test("kills a service when it outlives its drain, not by npm's echo of a signal", async () => {
    const run = new Run(root, { ...env, STUBBORN: '1', DRAIN_MS: '1' })
    await run.shows('Ctrl-C ends both.')
    // Two that differ: the same one twice may come as one.
    run.child.kill('SIGINT')
    run.child.kill('SIGTERM')
    expect(await run.exitCode).toBe(0)
    await run.shows('is killed')
  })

  test('lets the services drain when its parent is gone', async () => {
    const run = new Run(root, env)
    await run.shows('Ctrl-C ends both.')
    run.child.disconnect()
    expect(await run.exitCode).toBe(0)
    await run.shows('plain worker SIGTERM 1')
  })

  test('leaves nothing behind when it is killed', async () => {
    const run = new Run(root, env)
    await run.shows('Ctrl-C ends both.')
    run.child.kill('SIGKILL')
    for (const port of [env.WORKER_PORT, env.GATEWAY_PORT]) {
      const answer = () => fetch(`http://127.0.0.1:${port}/`).then(String, () => 'gone')
      await expect.poll(answer, { timeout: 5_000 }).toBe('gone')
    }
  })
})
