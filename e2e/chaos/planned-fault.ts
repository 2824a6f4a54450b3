import type { SeededRandom } from './seeded-random.ts'

/** A fault of one round. */
export interface PlannedFault {
  /** What is done, and to whom. */
  readonly name: string
  /** After the beginning of the round. */
  readonly atMs: number
  readonly lastsMs: number
  /** Does it; resolves when it is over, with what was seen of its effect. */
  act(): Promise<string | undefined>
}

const MAX_FAULTS = 3

/** One to three faults, by chance, at moments of a time of load. */
export function planned<Kind>(
  random: SeededRandom,
  kinds: readonly [Kind, ...Kind[]],
  loadMs: number,
  plan: (kind: Kind) => Omit<PlannedFault, 'atMs'>,
): PlannedFault[] {
  return Array.from({ length: random.int(1, MAX_FAULTS) }, () => {
    const kind = random.pick(kinds)
    const atMs = random.int(200, loadMs)
    return { ...plan(kind), atMs }
  }).toSorted((a, b) => a.atMs - b.atMs)
}

/** Does it at its moment, and answers what was done, for people. */
export async function inflict(fault: PlannedFault, wait: (ms: number) => Promise<unknown>): Promise<string> {
  const { name, atMs, lastsMs } = fault
  await wait(atMs)
  const effect = await fault.act()
  return `${name} at ${atMs} ms${lastsMs > 0 ? ` for ${lastsMs}` : ''}${effect === undefined ? '' : ` (${effect})`}`
}
