import { expect, it } from 'vitest'
import { runChaos } from './chaos/chaos.ts'
import { ChaosWorld } from './chaos/chaos-world.ts'
import { ALL_FAULTS } from './chaos/fault.ts'

const ROUNDS = 5

it('keeps every promise while gateway and worker are killed, stopped and cut off', {
  timeout: 400_000,
}, async ({ annotate, signal }) => {
  const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000_000)
  await annotate(`CHAOS_SEED=${seed}`)
  const lines: string[] = []
  const report = (line: string) => void lines.push(line)
  const {
    rounds,
    failed,
    folder: kept,
  } = await runChaos({
    rounds: ROUNDS,
    seed,
    report,
    signal,
    start: (folder, random) => ChaosWorld.start(folder, random, ALL_FAULTS),
  })
  const told = [`CHAOS_SEED=${seed}`, ...lines, `data and logs are kept in ${kept}`].join('\n')
  expect(failed.length, told).toBe(0)
  expect(rounds).toHaveLength(ROUNDS)
  // Rounds without load would pass, too.
  for (const { number, published, read, runs } of rounds) {
    expect(Math.min(published, read, runs), `round ${number}\n${told}`).toBeGreaterThan(0)
  }
})
