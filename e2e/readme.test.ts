import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { findProgram, lastingPort } from '@tributary/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FencedBlock, fencedBlocks } from './markdown.ts'
import { ShellCommand } from './shell-command.ts'
import { excerpt, frames, lastingJson } from './transcript.ts'

const ROOT = resolve(import.meta.dirname, '..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
/** What a cluster shows is run by readme-cluster.test.ts. */
const ONE_MACHINE = README.replace(/^## More than one machine\n.*?(?=^## )/ms, '')
const START_LIMIT_MS = 50_000
const SHOWN_WITHIN = { timeout: 10_000 }

interface Step {
  readonly command: string
  /** What is to be seen once it has run, and what printed it: itself, or a command that runs on in another terminal. */
  readonly shown: { readonly block: FencedBlock; readonly by: Step }[]
}

/** The README's commands in order, each with the blocks that show what it prints. */
function readSteps(): Step[] {
  const steps: Step[] = []
  for (const block of fencedBlocks(ONE_MACHINE)) {
    const lines = block.text.split('\n')
    if (block.language === 'bash') steps.push({ command: block.text, shown: [] })
    else if (lines.every((line) => line.startsWith('npm ')))
      steps.push(...lines.map((command) => ({ command, shown: [] })))
    else addShown(block, steps)
  }
  return steps
}

function addShown(block: FencedBlock, steps: readonly Step[]): void {
  const by = block.lead.includes('the first terminal') ? steps.findLast(isEndless) : steps.at(-1)
  // Before the first command there is a drawing.
  if (by !== undefined) steps.at(-1)?.shown.push({ block, by })
}

/** A user's stream lasts; it is left running while the next commands run, in another terminal. */
function isEndless({ command }: Step): boolean {
  return command.includes('/managed/connect')
}

const steps = readSteps()
const [start, test, ...calls] = steps
const missing = ['bash', 'curl', 'npm'].filter((name) => findProgram([name]) === undefined)
if (missing.length > 0)
  process.stderr.write(`the README's commands are not run: there is no ${missing.join(', no ')}\n`)

it('shows how to start and test, and has commands to try', () => {
  expect([start?.command, test?.command]).toEqual(['npm start', 'npm test'])
  expect(calls.length).toBeGreaterThan(5)
  for (const { command } of calls) expect(command).toMatch(/^curl /)
  expect(calls.flatMap(({ shown }) => shown).length).toBeGreaterThan(4)
})

it('leads to files that are there', () => {
  const targets = [...README.matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => target)
  expect(targets.filter((target) => !existsSync(join(ROOT, target)))).toEqual([])
})

it('`npm test` is not run inside itself: it is the script that runs this test, here and in CI', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  expect(scripts.test).toBe('exec node scripts/bootstrap.mjs test')
  expect(existsSync(join(ROOT, 'scripts/test.ts'))).toBe(true)
  expect(readFileSync(join(ROOT, '.ci/run'), 'utf8')).toMatch(/^CI=true exec npm test\b/m)
})

describe.skipIf(missing.length > 0)('what the README says to type', () => {
  const owned = new AsyncDisposableStack()
  const ports = { GATEWAY_PORT: '', WORKER_PORT: '' }
  const running = new Map<Step, ShellCommand>()

  const run = (step: Step): ShellCommand => {
    const command = new ShellCommand(atPorts(step.command), {
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...ports },
    })
    running.set(step, owned.use(command))
    return command
  }
  const atPorts = (text: string) =>
    text.replaceAll(':8090', `:${ports.GATEWAY_PORT}`).replaceAll(':8080', `:${ports.WORKER_PORT}`)

  beforeAll(async () => {
    ports.GATEWAY_PORT = String(await lastingPort())
    ports.WORKER_PORT = String(await lastingPort())
  })
  afterAll(() => owned.disposeAsync())

  it('npm start', async () => {
    if (start === undefined) throw new Error('the README does not say how to start')
    const services = run(start)
    const told = () => services.output + services.complaints
    await expect.poll(told, { timeout: START_LIMIT_MS }).toContain('Ctrl-C ends both.')
    expect(services.complaints.split('\n').filter((line) => line && !line.startsWith('npm '))).toEqual([])
  })

  const pages = [...README.matchAll(/<http:\/\/localhost:8090([^>]*)>/g)].map(([, path = '']) => path)
  it.each(pages)('opens %s', async (path) => {
    const answer = await fetch(`http://localhost:${ports.GATEWAY_PORT}${path}`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      expect.stringMatching('text/html'),
    ])
  })

  for (const step of calls) {
    it(step.command.split('\n', 1).join(), async () => {
      const command = run(step)
      if (isEndless(step))
        return expect.poll(() => command.output, SHOWN_WITHIN).toContain('event: connection')
      expect(await command.ended, command.complaints).toBe(0)
      expect(command.output).not.toBe('')
      for (const { block, by } of step.shown) {
        await expectShown(block, () => running.get(by)?.output ?? '')
      }
    })
  }

  const expectShown = (block: FencedBlock, output: () => string) => {
    const text = atPorts(block.text)
    if (block.language === 'json')
      return expect.poll(() => lastingJson(output()), SHOWN_WITHIN).toEqual(lastingJson(text))
    const shown = frames(text)
    expect(shown).not.toEqual([])
    return expect.poll(() => excerpt(frames(output()), shown), SHOWN_WITHIN).toEqual(shown)
  }

  it('Ctrl-C ends everything, and leaves no process', async () => {
    const services = start && running.get(start)
    if (services === undefined) throw new Error('nothing was started')
    services.interrupt()
    expect(await services.ended, services.complaints).toBe(0)
    expect(services.isAlive).toBe(false)
    for (const port of Object.values(ports)) expect(await isListening(Number(port))).toBe(false)
    // Their streams have ended with a word, not been cut.
    for (const [step, command] of running) {
      if (isEndless(step)) expect(await command.ended).toBe(0)
      if (isEndless(step)) expect(command.output).toContain('event: disconnected')
    }
  })
})

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
