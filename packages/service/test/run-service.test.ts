import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { finished } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const SERVICE = fileURLToPath(new URL('example-service.ts', import.meta.url))

function start(...settings: string[]) {
  const child = fork(SERVICE, settings, { silent: true, execArgv: ['--conditions=@tributary/source'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = { out: '', err: '' }
  child.stdout?.on('data', (chunk) => {
    output.out += String(chunk)
  })
  child.stderr?.on('data', (chunk) => {
    output.err += String(chunk)
  })
  const { stdout, stderr } = child
  const exit = Promise.all([
    once(child, 'exit'),
    stdout && finished(stdout),
    stderr && finished(stderr),
  ]).then(([[code]]) => code)
  const listening = async (): Promise<string> => {
    await expect.poll(() => output.out, { timeout: 10_000 }).toContain('"msg":"listening"')
    const line = output.out.split('\n').find((one) => one.includes('"msg":"listening"')) ?? ''
    return JSON.parse(line).url
  }
  return { child, output, exit, listening }
}

test('says where it listens, whatever the log level, and ends with 0 on SIGTERM', async () => {
  const { child, output, exit, listening } = start('LOG_LEVEL=silent')
  const url = await listening()
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  expect(output.out.trim().split('\n')).toHaveLength(1)
  child.kill('SIGTERM')
  expect([await exit, output.err]).toEqual([0, ''])
})

test.each(['SIGINT', 'disconnect'] as const)('ends with 0 on %s', async (way) => {
  const { child, exit, listening } = start()
  await listening()
  if (way === 'disconnect') child.disconnect()
  else child.kill(way)
  expect(await exit).toBe(0)
})

test('takes the echo of a signal for the same, and ends at once on a second', async () => {
  const { child, output, exit, listening } = start('FAULT=hang', 'LOG_LEVEL=info')
  await listening()
  child.kill('SIGINT')
  child.kill('SIGTERM')
  await expect.poll(() => output.out).toContain('drain begun')
  const again = setInterval(() => child.kill('SIGINT'), 100)
  onTestFinished(() => clearInterval(again))
  expect(await exit).toBe(1)
  expect(output.out).not.toContain('drain over')
})

test('says in one line that the port is in use', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void other.close())
  await once(other, 'listening')
  const address = other.address()
  const port = typeof address === 'object' ? address?.port : 0
  const { output, exit } = start(`GATEWAY_PORT=${port}`)
  expect(await exit).toBe(1)
  expect(output.err).toBe(`gateway: port ${port} on 127.0.0.1 is in use; set GATEWAY_PORT to another one\n`)
  expect(output.out).toBe('')
})

test.each([
  [
    'HOST=no.such.host.invalid',
    /^gateway: "no.such.host.invalid" is no address of this machine \(\w+\); set HOST to one, such as 127.0.0.1\n$/,
  ],
  ['HOST=192.0.2.1', /^gateway: "192.0.2.1" is no address of this machine \(EADDRNOTAVAIL\); .*\n$/],
  ['GATEWAY_PORT=abc', /^gateway: GATEWAY_PORT must be a whole number from 0 to 65535, not "abc"\n$/],
])('says in one line what is wrong with %s', async (setting, line) => {
  const { output, exit } = start(setting)
  expect(await exit).toBe(1)
  expect(output.err).toMatch(line)
})

test('shows the stack of what nobody foresaw', async () => {
  const { output, exit } = start('FAULT=build')
  expect(await exit).toBe(1)
  expect(output.err).toMatch(/^gateway: Error: cannot build\n {4}at /)
})

test.each(['later', 'rejection'])(
  'logs an error that nobody caught (%s) as fatal and ends with 1',
  async (fault) => {
    const { output, exit } = start(`FAULT=${fault}`)
    expect(await exit).toBe(1)
    expect(output.out).toContain('"msg":"uncaught error"')
    expect(output.out).toContain('"level":60')
  },
)
