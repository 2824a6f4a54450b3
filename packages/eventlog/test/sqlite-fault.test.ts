import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../src/index.ts'
import { SqliteEventStore } from '../src/sqlite/index.ts'
import { dataOf, event, KEEP_ALL, numbersOf, readAll } from './log-fixture.ts'
import { testFolder } from './test-folder.ts'

const folder = testFolder()
let files = 0
const newPath = () => join(folder, `${files++}.db`)
const PROBE_MS = 5_000
const LARGE = 'x'.repeat(8_000)

async function openedStore(path: string) {
  const clock = new FakeClock()
  const errors: unknown[] = []
  const store = await SqliteEventStore.open({
    path,
    clock,
    maxFileBytes: 1_000_000,
    tailMaxEvents: 10,
    onError: (error) => errors.push(error),
  })
  return { clock, store, errors, [Symbol.asyncDispose]: () => store.close() }
}

/** Appends until nothing more can be stored. Answers how many were. */
async function fill(log: EventLog): Promise<number> {
  for (let stored = 0; ; stored++) {
    try {
      await log.append([event(LARGE)])
    } catch (error) {
      expect(error).toMatchObject({ code: 'store_unavailable', retryable: true, retryAfterS: 5 })
      return stored
    }
  }
}

describe('a SqliteEventStore on a full disk', () => {
  it('refuses appends and says why, tells nothing of them, and goes on reading', async () => {
    const path = newPath()
    await using t = await openedStore(path)
    const log = await t.store.open('log', KEEP_ALL)
    const stored = await fill(log)
    expect(stored).toBeGreaterThan(50)
    expect(t.store.health).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining(`the disk of ${path} is full; free space`),
    })
    expect(t.errors).not.toEqual([])
    const heard: unknown[] = []
    log.tail((entry) => heard.push(entry))
    const refused = await Promise.allSettled([
      log.append([event(1), event(LARGE)], { attributes: { a: '1' }, epoch: 7 }),
      log.appendOnce([event(LARGE)], { key: 'k', fingerprint: 'f', windowMs: 1_000 }),
      log.close(event(LARGE)),
      t.store.open('other', KEEP_ALL),
    ])
    expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected'])
    expect([heard, log.closed, log.attributes.size, log.head.n]).toEqual([[], false, 0, stored])
    expect(dataOf(await readAll(log))).toHaveLength(stored)
    expect(numbersOf((await log.read(stored - 3)).entries)).toEqual([stored - 2, stored - 1, stored])
  })

  it('takes appends again by itself once there is space, with the next number', async () => {
    const path = newPath()
    await using t = await openedStore(path)
    const log = await t.store.open('log', KEEP_ALL)
    const old = await t.store.open('old', KEEP_ALL)
    await old.append(Array.from({ length: 30 }, () => event(LARGE)))
    const stored = await fill(log)
    t.clock.advance(PROBE_MS)
    expect(t.store.health.status).toBe('degraded')
    await t.store.drop('old')
    await t.store.trim()
    t.clock.advance(PROBE_MS)
    expect(t.store.health).toEqual({ status: 'ok' })
    const [entry] = await log.append([event('again')], { epoch: 1 })
    expect(entry?.position.n).toBe(stored + 1)
    expect(t.clock.timerCount).toBe(1)
    await t.store.close()
    const again = await openedStore(path)
    const reopened = await again.store.open('log', KEEP_ALL)
    expect(dataOf(await readAll(reopened)).slice(-2)).toEqual([LARGE, 'again'])
    await again.store.close()
  })
})

describe('a SqliteEventStore on a damaged file', () => {
  it('says so to whoever reads what is damaged, and lets the file be', async () => {
    const path = newPath()
    const before = await openedStore(path)
    await (await before.store.open('log', KEEP_ALL)).append(
      Array.from({ length: 100 }, (_, i) => event(i === 50 ? LARGE : 'x'.repeat(500))),
    )
    await before.store.close()
    const { size } = statSync(path)
    const file = openSync(path, 'r+')
    // The head of the file, and the newest page, stay.
    for (let at = 20 * 4_096; at < size - 4_096; at += 4_096)
      writeSync(file, Buffer.alloc(4_096, 0xff), 0, 4_096, at)
    closeSync(file)
    await using t = await openedStore(path)
    const failed = expect.objectContaining({
      code: 'store_unavailable',
      message: expect.stringContaining(`${path} is damaged; stop the service, move the file away`),
    })
    const opening = t.store.open('log', KEEP_ALL).then((log) => readAll(log))
    await expect(opening).rejects.toEqual(failed)
    expect(statSync(path).size).toBe(size)
  })
})
