import type { EventLog, EventStore, LogEntry } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import type { RunKind } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import type { RunWork } from '../src/execute-run.ts'
import type { Run } from '../src/run.ts'
import type { RunOutcome } from '../src/run-end.ts'
import { RunRegistry } from '../src/run-registry.ts'
import type { RunRegistryOptions } from '../src/run-registry-options.ts'

/** Lets what is due in this turn happen. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A registry in memory, on a clock that the test moves, and every error it reported. */
export async function openRuns(options: Partial<RunRegistryOptions> & { clock?: FakeClock } = {}) {
  const { clock = new FakeClock(), store = new MemoryEventStore({ clock }) } = options
  const errors: unknown[] = []
  const runs = await RunRegistry.open({
    source: 'worker',
    onError: (error: unknown) => void errors.push(error),
    ...options,
    clock,
    store,
  })
  return { clock, store, runs, errors, [Symbol.asyncDispose]: () => runs.close() }
}

/** What to start a run with where a test does not care. */
export function anyRun(totalTasks = 0): { kind: RunKind; userId: string; totalTasks: number } {
  return { kind: 'parallel-tasks', userId: 'ann', totalTasks }
}

/** All that stands in a log. */
export async function eventsOf(log: EventLog): Promise<{ type: string; data: unknown }[]> {
  const events: LogEntry[] = []
  for (;;) {
    const page = await log.read(events.at(-1)?.position.n ?? 0)
    events.push(...page.entries)
    if (!page.hasMore) return events.map(({ event: { type, data } }) => ({ type, data }))
  }
}

export async function typesOf(log: EventLog): Promise<string[]> {
  return (await eventsOf(log)).map(({ type }) => type)
}

/** A store whose logs do as `change` says. */
export function storeWith(store: EventStore, change: (log: EventLog) => void): EventStore {
  const open = store.open.bind(store)
  store.open = async (name, options) => {
    const log = await open(name, options)
    change(log)
    return log
  }
  return store
}

/** Waits turn by turn until it is so. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn++) {
    if (turn > 10_000) throw new Error(`it did not come to this: ${isSo}`)
    await settle()
  }
}

/** Work that ends when the test says so, or as soon as it is told to stop. */
export function heldWork() {
  const held = Promise.withResolvers<RunOutcome>()
  held.promise.catch(() => undefined)
  const begun = Promise.withResolvers<Run>()
  const work: RunWork = (run) => {
    begun.resolve(run)
    run.signal.addEventListener('abort', () => held.reject(run.signal.reason))
    if (run.signal.aborted) held.reject(run.signal.reason)
    return held.promise
  }
  return { work, begun: begun.promise, end: held.resolve, fail: held.reject }
}

/** Goes on until it is told to stop. */
export const untilStopped: RunWork = (run) => heldWork().work(run)

/** Does not stop, whatever it is told. */
export const never: RunWork = () => new Promise(() => undefined)

export const succeeded = (successCount = 1): RunOutcome => ({
  totalTasks: successCount,
  successCount,
  errorCount: 0,
  errors: [],
})
