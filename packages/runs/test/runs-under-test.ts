import type { EventLog, EventStore, LogEntry } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import type { RunKind } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
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
