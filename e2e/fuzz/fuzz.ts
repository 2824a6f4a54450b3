import fc from 'fast-check'
import { it } from 'vitest'

/** How many cases each property gets: few by default, so that all tests stay quick. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 100)
/** What all cases follow from. */
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
const LIMIT_MS = 1_800_000

/**
 * Tests a property with as many cases as are asked for (`FUZZ_RUNS`), from a seed (`FUZZ_SEED`) that its name tells.
 *
 * @param share of these cases, for what is slow. Default 1.
 */
export function fuzz<T>(name: string, property: fc.IRawProperty<T>, share = 1): void {
  const numRuns = Math.ceil(RUNS * share)
  it(`${name} (${numRuns} cases from seed ${SEED})`, { timeout: LIMIT_MS }, () =>
    fc.assert(property, { numRuns, seed: SEED }),
  )
}
