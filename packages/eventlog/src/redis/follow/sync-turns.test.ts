import { expect, it } from 'vitest'
import { type SyncedLog, SyncTurns } from './sync-turns.ts'

const INTERVAL_MS = 2_000

function logs(count: number, showsHoles: boolean) {
  const synced: number[] = []
  const all = Array.from({ length: count }, (_, i) => ({
    head: { n: 0 },
    showsHoles,
    sync: () => {
      synced.push(i)
      return true
    },
  }))
  return { all, synced }
}

/** Turns that a test makes the time of. */
function turnsOf(all: readonly SyncedLog[], maxPerS = 500) {
  let nowMs = 0
  const turns = new SyncTurns<SyncedLog>({ intervalMs: INTERVAL_MS, maxPerS, elapsed: () => nowMs })
  for (const log of all) turns.add(log)
  const pass = (ms: number) => {
    for (const endMs = nowMs + ms; nowMs < endMs; ) {
      nowMs += turns.everyMs
      turns.next()
    }
  }
  return { turns, pass }
}

it('compares a hub once an interval, and a quiet run every fifth', () => {
  const hub = logs(1, false)
  const run = logs(1, true)
  const { pass } = turnsOf([...hub.all, ...run.all])
  pass(INTERVAL_MS)
  expect([hub.synced.length, run.synced.length]).toEqual([1, 1])
  pass(10 * INTERVAL_MS)
  expect([hub.synced.length, run.synced.length]).toEqual([11, 3])
})

it('compares a run within an interval after the last that came', () => {
  const { all, synced } = logs(1, true)
  const { pass, turns } = turnsOf(all)
  pass(3 * INTERVAL_MS)
  for (let n = 1; n <= 3; n++) {
    synced.length = 0
    for (const log of all) {
      log.head.n = n
      turns.moved(log)
    }
    pass(INTERVAL_MS)
    expect(synced).toHaveLength(1)
    pass(3 * INTERVAL_MS)
  }
})

it('spreads them evenly over the interval', () => {
  const { all, synced } = logs(100, true)
  const { pass, turns } = turnsOf(all)
  const counts: number[] = []
  for (let ms = 0; ms < INTERVAL_MS; ms += turns.everyMs) {
    synced.length = 0
    pass(turns.everyMs)
    counts.push(synced.length)
  }
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(9)
  expect(Math.max(...counts)).toBeLessThanOrEqual(11)
})

it('compares no more in a second than it may, and everyone in turn', () => {
  const { all, synced } = logs(5_000, false)
  const { pass } = turnsOf(all)
  pass(1_000)
  expect(synced.length).toBeLessThanOrEqual(500)
  pass(10_000)
  expect(new Set(synced).size).toBe(5_000)
  expect(synced.length).toBeLessThanOrEqual(11 * 500)
})

it('brings on the turns of all where something may have been lost', () => {
  const { all, synced } = logs(100, true)
  const { pass, turns } = turnsOf(all)
  pass(INTERVAL_MS)
  synced.length = 0
  turns.hasten()
  pass(turns.everyMs)
  expect(synced).toHaveLength(100)
})
