import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { SqliteEventStore, StoreOpenError } from '../src/sqlite/index.ts'
import { dataOf, event, KEEP_ALL, readAll } from './log-fixture.ts'
import { testFolder } from './test-folder.ts'

const folder = testFolder()
let files = 0
const newPath = () => join(folder, `${files++}.db`)
const modeOf = (path: string) => statSync(path).mode & 0o777

describe('the file of a SqliteEventStore', () => {
  it('is made with its folder, for nobody else to read', async () => {
    const path = join(folder, 'new', 'deeper', 'store.db')
    await using store = await SqliteEventStore.open({ path })
    await store.open('log', KEEP_ALL)
    expect([modeOf(join(folder, 'new')), modeOf(join(folder, 'new', 'deeper'))]).toEqual([0o700, 0o700])
    expect([modeOf(path), modeOf(`${path}-wal`)]).toEqual([0o600, 0o600])
  })

  it('belongs to one store: a second is told so', async () => {
    const path = newPath()
    await using store = await SqliteEventStore.open({ path })
    const second = SqliteEventStore.open({ path, lockWaitMs: 0 })
    await expect(second).rejects.toThrow(StoreOpenError)
    await expect(second).rejects.toMatchObject({ code: 'store_open_failed' })
    await expect(second).rejects.toThrow(`${path} is in use by another process`)
    expect(store.health.status).toBe('ok')
  })

  it('is waited for while the one before it lets go of it', async () => {
    const path = newPath()
    const first = await SqliteEventStore.open({ path })
    const log = await first.open('log', KEEP_ALL)
    const opening = SqliteEventStore.open({ path })
    await log.append([event(1)])
    await first.close()
    await using second = await opening
    expect(dataOf(await readAll(await second.open('log', KEEP_ALL)))).toEqual([1])
  })

  it('is left as it is where it is no database', async () => {
    const path = newPath()
    const text = 'a letter, and not a short one: '.repeat(1_000)
    writeFileSync(path, text)
    const opening = SqliteEventStore.open({ path })
    await expect(opening).rejects.toThrow(StoreOpenError)
    await expect(opening).rejects.toThrow(`${path} is no database, or is damaged: move it away`)
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  it('is left as it is where it is another program’s', async () => {
    const path = newPath()
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE letters (text TEXT)')
    other.close()
    await expect(SqliteEventStore.open({ path })).rejects.toThrow('a database of another program')
  })

  it('is left as it is where a newer version has written it', async () => {
    const path = newPath()
    await (await SqliteEventStore.open({ path })).close()
    const newer = new DatabaseSync(path)
    newer.exec('PRAGMA user_version = 99')
    newer.close()
    await expect(SqliteEventStore.open({ path })).rejects.toThrow('written by a newer version')
  })

  it('cannot be a folder, or in a file', async () => {
    const path = newPath()
    mkdirSync(path)
    await expect(SqliteEventStore.open({ path })).rejects.toThrow(StoreOpenError)
    const file = newPath()
    writeFileSync(file, '')
    await expect(SqliteEventStore.open({ path: join(file, 'store.db') })).rejects.toThrow(StoreOpenError)
  })

  it('takes over an empty one', async () => {
    const path = newPath()
    writeFileSync(path, '')
    await using store = await SqliteEventStore.open({ path })
    expect(await store.list()).toEqual([])
  })

  it('takes little more than what is said in it', async () => {
    const path = newPath()
    const store = await SqliteEventStore.open({ path })
    const log = await store.open('log', KEEP_ALL)
    const count = 2_000
    await log.append(Array.from({ length: count }, () => event('x'.repeat(1_000), 'group:a')))
    await store.close()
    expect(statSync(path).size / count).toBeLessThan(1_500)
  })

  it('has its write-ahead log copied into it as it grows', async () => {
    const path = newPath()
    await using store = await SqliteEventStore.open({ path })
    const log = await store.open('log', KEEP_ALL)
    const batch = Array.from({ length: 100 }, () => event('x'.repeat(2_000)))
    for (let i = 0; i < 200; i++) await log.append(batch)
    expect(statSync(`${path}-wal`).size).toBeLessThan(20_000_000)
    expect(statSync(path).size).toBeGreaterThan(20_000_000)
    expect(dataOf(await readAll(log))).toHaveLength(20_000)
  })
})
