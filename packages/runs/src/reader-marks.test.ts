import { MemoryEventStore } from '@tributary/eventlog/memory'
import { FakeClock } from '@tributary/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { ReaderMarks, readUntil } from './reader-marks.ts'

async function marks() {
  const clock = new FakeClock()
  const store = new MemoryEventStore({ clock })
  onTestFinished(() => store.close())
  const retention = () => ({ maxEvents: 10, maxAgeMs: 10_000 })
  const log = await store.open('run:a', { retention })
  const nodeMarks = (name: string) => new ReaderMarks({ name, clock, graceMs: 5_000 })
  const marked = (count: number) => {
    const told = Promise.withResolvers<void>()
    let left = count
    const off = log.onAttributes(() => {
      left -= 1
      if (left === 0) told.resolve()
    })
    return told.promise.then(off)
  }
  return { clock, log, nodeMarks, marked, openLog: async () => log }
}

it('keeps a run read for as long as it is, and for the grace after that', async () => {
  const { clock, log, nodeMarks, marked, openLog } = await marks()
  expect(readUntil(log)).toBe(0)
  const timers = clock.timerCount
  const began = clock.now()
  let told = marked(1)
  const release = nodeMarks('one').hold('a', openLog)
  await told
  expect(readUntil(log)).toBe(began + 30_000)
  told = marked(2)
  clock.advance(20_000)
  await told
  expect(readUntil(log)).toBe(began + 50_000)
  told = marked(1)
  release()
  release()
  await told
  expect(readUntil(log)).toBe(began + 25_000)
  expect(clock.timerCount).toBe(timers)
})

it('counts the last reader of any node', async () => {
  const { clock, log, nodeMarks, marked, openLog } = await marks()
  const told = marked(3)
  const one = nodeMarks('one')
  const releases = [one.hold('a', openLog), one.hold('a', openLog), nodeMarks('other').hold('a', openLog)]
  releases[0]?.()
  releases[1]?.()
  await told
  expect(readUntil(log)).toBe(clock.now() + 30_000)
  const left = marked(1)
  releases[2]?.()
  await left
  expect(readUntil(log)).toBe(clock.now() + 5_000)
})
