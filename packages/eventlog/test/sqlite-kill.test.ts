import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseEventId } from '@tributary/protocol'
import { expect, it } from 'vitest'
import { SqliteEventStore } from '../src/sqlite/index.ts'
import { event, KEEP_ALL, numbersOf, readAll } from './log-fixture.ts'
import { testFolder } from './test-folder.ts'

const folder = testFolder()
const PROCESS = new URL('./appending-process.ts', import.meta.url).pathname

/** Starts a process that appends, and kills it once it has acknowledged so many. Answers their ids. */
async function killedAfter(path: string, count: number, whileItRuns: () => Promise<void>): Promise<string[]> {
  const child = spawn(process.execPath, ['--conditions=@tributary/source', PROCESS, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const ids: string[] = []
  for await (const line of createInterface(child.stdout)) {
    if (ids.length === 0) await whileItRuns()
    ids.push(line)
    if (ids.length === count) child.kill('SIGKILL')
  }
  await closed
  expect(child.signalCode).toBe('SIGKILL')
  // The last line may have been cut off.
  return ids.filter((id) => parseEventId(id) !== undefined).slice(0, -1)
}

it('a SqliteEventStore keeps what was acknowledged when its process is killed, and goes on after it', async () => {
  const path = join(folder, 'killed.db')
  const acknowledged: string[] = []
  for (let round = 0; round < 3; round++) {
    const count = 1 + Math.floor(Math.random() * 4_000)
    const ids = await killedAfter(path, count, async () => {
      const second = SqliteEventStore.open({ path, lockWaitMs: 0 })
      await expect(second).rejects.toThrow('in use by another process')
    })
    acknowledged.push(...ids)
    await using store = await SqliteEventStore.open({ path })
    const log = await store.open('log', KEEP_ALL)
    const entries = await readAll(log)
    const kept = new Set(entries.map(({ event: told }) => told.id))
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
    expect(numbersOf(entries)).toEqual(entries.map((_, i) => i + 1))
    const [next] = await log.append([event('after')])
    expect(next?.position.n).toBe(entries.length + 1)
  }
})
