import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, type TestContext } from 'vitest'
import { runChaos } from './chaos/chaos.ts'
import { ALL_CLUSTER_FAULTS, type ClusterFaultKind } from './chaos/cluster-fault.ts'
import { ClusterWorld } from './chaos/cluster-world.ts'
import { findNginx } from './nginx-process.ts'

const ROUNDS = 3
const LIMIT_MS = 600_000

describeWithRedisServers('the chaos of a cluster', () => {
  if (findNginx() === undefined) {
    process.stderr.write('the chaos of a cluster is skipped: no nginx was found; install one\n')
    it.skip('keeps every promise')
    return
  }

  async function play(
    { annotate, signal }: TestContext,
    rounds: number,
    kinds: readonly [ClusterFaultKind, ...ClusterFaultKind[]],
    plant?: (bytes: Buffer) => Buffer,
  ) {
    const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000_000)
    await annotate(`CHAOS_SEED=${seed}`)
    const lines: string[] = []
    const result = await runChaos({
      rounds,
      seed,
      signal,
      report: (line) => void lines.push(line),
      start: (folder, random) =>
        ClusterWorld.start(folder, random, { kinds, ...(plant === undefined ? {} : { plant }) }),
    })
    return { ...result, told: [`CHAOS_SEED=${seed}`, ...lines, `kept in ${result.folder}`].join('\n') }
  }

  it('keeps every promise whatever is killed, stopped and cut off', {
    timeout: LIMIT_MS,
  }, async (context) => {
    const { rounds, failed, told } = await play(context, ROUNDS, ALL_CLUSTER_FAULTS)
    expect(failed.length, told).toBe(0)
    expect(rounds).toHaveLength(ROUNDS)
    // Rounds without load would pass, too.
    for (const { number, published, read, runs } of rounds) {
      expect(Math.min(published, read, runs), `round ${number}\n${told}`).toBeGreaterThan(0)
    }
  })

  it('finds one delivery to one reader that is left out', { timeout: LIMIT_MS }, async (context) => {
    let left = 1
    const leaveOneOut = (bytes: Buffer) => {
      const text = bytes.toString('latin1')
      if (left === 0 || !text.includes('event: note\n')) return bytes
      left -= 1
      // As long as it was, under a name that nobody listens to.
      return Buffer.from(text.replace('event: note\n', 'event: nota\n'), 'latin1')
    }
    const { rounds, failed, told } = await play(context, 1, ['cut-readers'], leaveOneOut)
    expect(left).toBe(0)
    expect(failed, told).toHaveLength(1)
    const violations = rounds.flatMap((round) => round.violations)
    expect(violations).toEqual([expect.stringMatching(/ never got round-1-/)])
  })
})
