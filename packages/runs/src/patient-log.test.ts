import { StoreUnavailableError } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { settle, typesOf } from '../test/runs-under-test.ts'
import { fillable } from '../test/stores-under-test.ts'
import { PatientLog } from './patient-log.ts'

const event = (type: string) => ({ event: { type, data: null, source: 'test' } })

async function openLog() {
  const clock = new FakeClock()
  const { store, disk } = fillable(new MemoryEventStore({ clock }))
  const log = await store.open('a', { retention: () => ({ maxEvents: 100, maxAgeMs: 1_000_000 }) })
  return { clock, disk, log, patient: new PatientLog(log, clock) }
}

describe('PatientLog', () => {
  it('keeps the order over a time in which nothing can be stored', async () => {
    const { clock, disk, log, patient } = await openLog()
    await patient.append([event('a')], {})
    disk.full = true
    const waiting = ['b', 'c'].map((type) => patient.append([event(type)], {}))
    await settle()
    waiting.push(patient.append([event('d')], {}))
    expect(patient.stall).toBeDefined()
    clock.advance(1_000)
    await settle()
    disk.full = false
    // Room there is, but what came first goes first.
    waiting.push(patient.append([event('e')], {}))
    await settle()
    expect(await typesOf(log)).toEqual(['a'])
    const { stall } = patient
    clock.advance(1_000)
    await Promise.all([...waiting, stall])
    expect(await typesOf(log)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(patient.stall).toBeUndefined()
    await patient.append([event('f')], {})
    expect(await typesOf(log)).toHaveLength(6)
  })

  it('fails at once what would fail for ever, and goes on with the others', async () => {
    const { clock, disk, log, patient } = await openLog()
    await expect(patient.append([event('two\nlines')], {})).rejects.toThrow()
    disk.full = true
    const bad = patient.append([event('two\nlines')], {})
    const good = patient.append([event('a')], {})
    await settle()
    disk.full = false
    clock.advance(1_000)
    await expect(bad).rejects.toThrow()
    await good
    expect(await typesOf(log)).toEqual(['a'])
  })

  it('tries again by its name what may have been done, until that is known', async () => {
    const { clock, log, patient } = await openLog()
    const asked: (string | undefined)[] = []
    const loseAnswers = (again: string | undefined) => {
      asked.push(again)
      if (asked.length % 3 !== 0) throw new StoreUnavailableError('no answer came', undefined, 'node.1')
    }
    const [append, close] = [log.append.bind(log), log.close.bind(log)]
    log.append = async (batch, options) => {
      loseAnswers(options?.again)
      return append(batch, options)
    }
    log.close = async (terminal, options) => {
      loseAnswers(options?.again)
      return close(terminal, options)
    }
    const appending = patient.append([event('a')], {})
    for (let i = 0; i < 2; i++) {
      await settle()
      clock.advance(1_000)
    }
    await appending
    for (let i = 0; i < 2; i++) await expect(patient.close(event('complete'), {})).rejects.toThrow()
    await patient.close(event('complete'), {})
    const names = [undefined, 'node.1', 'node.1']
    expect(asked).toEqual([...names, ...names])
    expect(await typesOf(log)).toEqual(['a', 'complete'])
  })

  it('lets no terminal event pass what waits', async () => {
    const { clock, disk, log, patient } = await openLog()
    disk.full = true
    const waiting = patient.append([event('a')], {})
    await settle()
    disk.full = false
    await expect(patient.close(event('complete'), {})).rejects.toBeInstanceOf(StoreUnavailableError)
    clock.advance(1_000)
    await waiting
    await patient.close(event('complete'), {})
    expect(await typesOf(log)).toEqual(['a', 'complete'])
  })

  it('gives up what waits and whatever comes, and nobody waits on', async () => {
    const { clock, disk, log, patient } = await openLog()
    disk.full = true
    const waiting = patient.append([event('a')], {})
    await settle()
    const { stall } = patient
    const coming = patient.append([event('b')], {})
    const reason = new Error('over')
    patient.giveUp(reason)
    await stall
    for (const append of [waiting, coming, patient.append([event('c')], {})]) {
      await expect(append).rejects.toBe(reason)
    }
    await expect(patient.close(event('complete'), {})).rejects.toBe(reason)
    disk.full = false
    clock.advance(5_000)
    await settle()
    expect(await typesOf(log)).toEqual([])
  })

  it('holds no more than it may', async () => {
    const { disk, patient } = await openLog()
    disk.full = true
    const appends = Array.from({ length: 10_001 }, () => patient.append([event('a')], {}))
    for (const append of appends) append.catch(() => undefined)
    await expect(appends[10_000]).rejects.toBeInstanceOf(StoreUnavailableError)
    patient.giveUp(new Error('over'))
  })
})
