import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
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
const TRIM_MS = 30_000
const PAGE_BYTES = 4_096
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

/** A closed store with one log, whose events from 1 to 100 are long enough to fill some pages. */
async function filledPath(): Promise<string> {
  const path = newPath()
  await using t = await openedStore(path)
  const log = await t.store.open('log', KEEP_ALL)
  await log.append(Array.from({ length: 100 }, (_, i) => event(`number ${i + 1}, ${'x'.repeat(500)}`)))
  return path
}

/** Overwrites the pages of a closed store that have a text. */
function damage(path: string, text: string): void {
  const bytes = readFileSync(path)
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text)) {
    const start = at - (at % PAGE_BYTES)
    bytes.fill(0xff, start, start + PAGE_BYTES)
  }
  writeFileSync(path, bytes)
}

function damagedHealth(path: string) {
  const reason = `${path} is damaged; stop the service, move the file away or bring back a copy, and start again`
  return { status: 'degraded', reason }
}

describe('a SqliteEventStore on a damaged file', () => {
  it('is degraded from when somebody has read what is damaged, whatever is stored after that', async () => {
    const path = await filledPath()
    damage(path, 'number 50,')
    await using t = await openedStore(path)
    const log = await t.store.open('log', KEEP_ALL)
    expect(t.store.health).toEqual({ status: 'ok' })
    await expect(readAll(log)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(t.store.health).toEqual(damagedHealth(path))
    await log.append([event('new')])
    t.clock.advance(PROBE_MS)
    expect(t.store.health).toEqual(damagedHealth(path))
  })

  it('is degraded from when trimming has met what is damaged, and goes on', async () => {
    const path = await filledPath()
    // Where the search for what is too old begins.
    damage(path, 'number 51,')
    await using t = await openedStore(path)
    const log = await t.store.open('log', { retention: () => ({ maxEvents: 1_000, maxAgeMs: TRIM_MS - 1 }) })
    expect(t.store.health).toEqual({ status: 'ok' })
    t.clock.advance(TRIM_MS)
    expect(t.store.health).toEqual(damagedHealth(path))
    expect(t.errors).toMatchObject([{ errcode: 11 }])
    await t.store.trim()
    await log.append([event('new')])
  })

  it('says so to whoever opens a log with a row that nobody has written, on one line', async () => {
    const path = await filledPath()
    const db = new DatabaseSync(path)
    db.exec("UPDATE events SET audience = '{' WHERE n = 95")
    db.close()
    await using t = await openedStore(path)
    await expect(t.store.open('log', KEEP_ALL)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: `Nothing can be stored now: ${damagedHealth(path).reason}`,
    })
    expect(t.store.health).toEqual(damagedHealth(path))
  })

  it('says so to whoever lists the logs', async () => {
    const path = newPath()
    const before = await openedStore(path)
    for (let i = 0; i < 200; i++) await before.store.open(`log number ${i}, ${'x'.repeat(200)}`, KEEP_ALL)
    await before.store.close()
    damage(path, 'log number 100,')
    await using t = await openedStore(path)
    await expect(t.store.list()).rejects.toMatchObject({
      message: expect.stringContaining(`${path} is damaged`),
    })
    expect(t.store.health).toEqual(damagedHealth(path))
  })

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

describe('a SqliteEventStore whose file is taken away', () => {
  it.each(['removed', 'replaced'])('is degraded at the next interval: %s', async (how) => {
    const path = newPath()
    await using t = await openedStore(path)
    const log = await t.store.open('log', KEEP_ALL)
    t.clock.advance(TRIM_MS)
    expect(t.store.health).toEqual({ status: 'ok' })
    renameSync(path, `${path}.moved`)
    if (how === 'replaced') copyFileSync(`${path}.moved`, path)
    t.clock.advance(TRIM_MS)
    await log.append([event(1)])
    const reason = expect.stringContaining(`${path} was removed or replaced while it is open`)
    expect(t.store.health).toEqual({ status: 'degraded', reason })
  })
})
