import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ShellCommand } from './shell-command.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const SOAK = `exec ${process.execPath} --conditions=@tributary/source bench/soak.ts --streams 50 --group-size 10 --rate 100`

/** The command with a folder of its own for what it writes. */
async function startSoak(options: string) {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-soak-'))
  const { PATH, HOME } = process.env
  const command = new ShellCommand(`${SOAK} ${options}`, { cwd: ROOT, env: { PATH, HOME, TMPDIR: folder } })
  return {
    command,
    left: () => readdir(folder),
    async [Symbol.asyncDispose]() {
      await command[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Turns until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe('pnpm soak', () => {
  it('passes a short one in which every reader comes back many times, and ends', async () => {
    // Each reader leaves once a second.
    await using soak = await startSoak('--minutes 0.1 --churn 60')
    const end = await soak.command.ended
    const told = `${soak.command.output}\n${soak.command.complaints}`
    expect(end, told).toBe(0)
    const json = soak.command.output.split('\n').findLast((line) => line.startsWith('{'))
    const result = JSON.parse(json ?? '{}')
    expect(result.faults).toEqual([])
    const { received, opened, paused, left, ended } = result.verdict.readers
    expect(received).toBe(result.published * 10)
    expect(result.published).toBeGreaterThan(500)
    expect(opened).toBeGreaterThan(200)
    expect(paused).toBeGreaterThan(10)
    expect(Object.keys(left).sort()).toEqual(['mid_frame', 'orderly', 'reset'])
    expect(ended).not.toHaveProperty('slow_consumer')
    expect([soak.command.isAlive, await soak.left()]).toEqual([false, []])
  })

  it('leaves nothing behind when it is interrupted', async () => {
    await using soak = await startSoak('--minutes 5')
    await until(() => soak.command.complaints.includes('streams are open'))
    soak.command.interrupt()
    expect(await soak.command.ended).toBe(130)
    expect(soak.command.complaints).toContain('soak: interrupted')
    expect([soak.command.isAlive, await soak.left()]).toEqual([false, []])
  })

  it('says what it does not understand', async () => {
    await using soak = await startSoak('--minutes none')
    expect(await soak.command.ended).toBe(2)
    expect(soak.command.complaints).toMatch(/^--minutes must be more than 0; it is none\n\nUsage: pnpm soak/)
  })
})
