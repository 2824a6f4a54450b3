import { parseCursor } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import type { LogEntry } from './event-log.ts'
import { logEntry } from './log-entry.ts'
import { MirrorLog } from './mirror-log.ts'

const RUN = 'run_1'

function entry(n: number): LogEntry {
  const position = { ms: 1_000 + n, n }
  return logEntry({ type: 't', data: n, source: 's' }, undefined, position, `${RUN}.${position.ms}-${n}`)
}

function mirror(numbers: readonly number[] = [], maxEvents = 100): MirrorLog {
  const retention = { maxEvents, maxAgeMs: Number.POSITIVE_INFINITY }
  const log = new MirrorLog({ runId: RUN, retention, now: () => 5_000 })
  for (const n of numbers) log.add(entry(n), false)
  return log
}

async function resume(log: MirrorLog, cursorText: string) {
  const cursor = parseCursor(cursorText)
  if (cursor === undefined) throw new Error(`${cursorText} is no cursor`)
  const { after, gap } = await log.locate(cursor)
  const { entries } = await log.read(after.n)
  return { after, gap, numbers: entries.map(({ position }) => position.n) }
}

describe('MirrorLog', () => {
  it('holds the owner’s ids in the owner’s order, each once', async () => {
    const log = mirror()
    const heard: number[] = []
    const end = log.tail(({ position }) => heard.push(position.n))
    for (const n of [1, 2, 2, 1, 3]) log.add(entry(n), false)
    expect(heard).toEqual([1, 2, 3])
    expect(log.head).toEqual({ ms: 1_003, n: 3 })
    expect(log.idOf(log.head)).toBe('run_1.1003-3')
    expect(log.readerCount).toBe(1)
    end()
    end()
    expect(log.readerCount).toBe(0)
    expect((await log.read(1)).entries.map(({ position }) => position.n)).toEqual([2, 3])
  })

  it('resumes after a cursor of its run, and takes one that is ahead for the owner’s', async () => {
    const log = mirror([1, 2, 3])
    expect(await resume(log, 'run_1.1002-2')).toEqual({
      after: { ms: 1_002, n: 2 },
      gap: undefined,
      numbers: [3],
    })
    expect(await resume(log, 'run_1.1009-9')).toMatchObject({ after: { n: 9 }, gap: undefined, numbers: [] })
    expect(await resume(log, 'run_1.0-0')).toMatchObject({ gap: undefined, numbers: [1, 2, 3] })
    expect(await resume(log, '0')).toMatchObject({ gap: undefined, numbers: [1, 2, 3] })
    expect(await resume(log, '1001')).toMatchObject({ gap: undefined, numbers: [2, 3] })
    expect(await resume(mirror(), 'run_1.1002-2')).toMatchObject({ after: { n: 2 }, gap: undefined })
  })

  it('tells a cursor of another run, and one with other milliseconds', async () => {
    const log = mirror([1, 2, 3])
    for (const cursor of ['run_2.1002-2', 'run_2.1009-9', 'run_2.0-0', 'run_1.1001-2', 'run_1.2000-3']) {
      expect(await resume(log, cursor)).toMatchObject({ gap: 'log_lost', numbers: [1, 2, 3] })
    }
  })

  it('ends with the terminal event; then nothing is ahead of it but by mistake', async () => {
    const log = mirror([1])
    log.add(entry(2), true)
    expect(log.closed).toBe(true)
    expect(() => log.add(entry(3), false)).toThrow('has ended')
    log.add(entry(2), true)
    expect(await resume(log, 'run_1.1009-9')).toMatchObject({ gap: 'ahead', numbers: [1, 2] })
  })

  it('tells whoever was before what it has trimmed', async () => {
    const log = mirror([1, 2, 3, 4], 2)
    expect(await resume(log, 'run_1.1001-1')).toMatchObject({ gap: 'expired', numbers: [3, 4] })
    expect(await resume(log, 'run_1.1002-2')).toMatchObject({ gap: undefined, numbers: [3, 4] })
  })

  it('tells whoever was before what the owner no longer had', async () => {
    const log = mirror([5, 6, 9])
    expect(await resume(log, 'run_1.1003-3')).toMatchObject({
      gap: 'expired',
      after: { n: 3 },
      numbers: [5, 6, 9],
    })
    expect(await resume(log, 'run_1.1006-6')).toMatchObject({ gap: 'expired', after: { n: 8 }, numbers: [9] })
    expect(await resume(log, 'run_1.1009-8')).toMatchObject({ gap: undefined, numbers: [9] })
    expect((await log.read(6)).lostUpTo).toEqual({ ms: 1_009, n: 8 })
  })
})
