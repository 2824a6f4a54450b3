import { ProblemError } from '@tributary/protocol'
import type { Worker } from './worker.ts'

/**
 * The order in which workers are asked: those that do not stop, least busy first, and behind them those that were
 * away a moment ago. Where they tell of themselves, the first is the better of two that are drawn: what they tell is
 * seconds old, and all gateways that know it would go to the same.
 */
export function inTurn(workers: readonly Worker[], random: () => number): readonly Worker[] {
  const staying = workers.filter(({ draining }) => !draining)
  const usable = staying.length === 0 ? workers : staying
  const sorted = usable.toSorted((a, b) => Number(a.avoided) - Number(b.avoided) || a.busyness - b.busyness)
  const there = sorted.filter(({ avoided, info }) => !avoided && info !== undefined)
  if (there.length < 3) return sorted
  const first = Math.floor(random() * there.length)
  const other = Math.floor(random() * (there.length - 1))
  // They stand in order, so that the lower place is the less busy one.
  const drawn = there[Math.min(first, other < first ? other : other + 1)]
  return drawn === undefined ? sorted : [drawn, ...sorted.filter((worker) => worker !== drawn)]
}

/**
 * Those that can run all of these registered tasks. Of names that nobody has any worker may be asked: it says which of
 * the request's tasks that is.
 *
 * @throws ProblemError `unknown_handler` where each has only some of them.
 */
export function able(workers: readonly Worker[], handlers: readonly string[] = []): readonly Worker[] {
  const having = workers.filter((worker) => handlers.every((name) => worker.hasHandler(name)))
  if (having.length > 0) return having
  const isUnknown = (name: string) => !workers.some((worker) => worker.hasHandler(name))
  if (handlers.some(isUnknown)) return workers
  const names = handlers.map((name) => JSON.stringify(name)).join(', ')
  throw new ProblemError(
    'unknown_handler',
    `No worker has all of the handlers ${names}; give one worker all of them, or send the tasks apart.`,
  )
}
