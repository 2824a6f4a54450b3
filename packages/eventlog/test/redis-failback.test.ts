import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import { StoreUnavailableError } from '../src/index.ts'
import { dataOf, event, KEEP_ALL, readAll } from './log-fixture.ts'
import { holds, LATER, world } from './two-servers.ts'

const LIMIT_MS = 30_000

describeWithRedisServers('a log that comes back to the server that it had left', () => {
  it('goes on where that one has at another time what was sent to both, and not what was noted last', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const a = await servers.node()
    const run = await a.store.open('run:1', { ...KEEP_ALL, runId: '1' })
    await run.follow().ready
    await run.append([event(1)], { epoch: 1 })
    await servers.parts(1, 'run:1')
    // As where it was frozen, and does when it goes on what it was asked before.
    a.network.loseAnswers()
    const sent = run.append([event(2)], { epoch: 1 }).catch((error: StoreUnavailableError) => error)
    await holds(servers.before, 2, 'run:1')
    a.moves()
    const failed = await sent
    if (failed instanceof StoreUnavailableError) {
      const { unsettled: again } = failed
      await vi.waitFor(() => run.append([event(2)], { epoch: 1, again }), LATER)
    }
    await run.append([], { epoch: 1, attributes: { cancelled: 'yes' } })
    a.moves(servers.before)
    await vi.waitFor(() => run.close(event('end'), { epoch: 1 }), LATER)
    // It is answered before it is handed on, where Redis was away a moment before.
    await vi.waitFor(async () => expect(dataOf(await readAll(run))).toEqual([1, 2, 'end']), LATER)
    const b = await servers.node()
    const seen = await b.store.open('run:1', { ...KEEP_ALL, runId: '1' })
    expect(dataOf(await readAll(seen))).toEqual([1, 2, 'end'])
    expect(Object.fromEntries(seen.attributes)).toEqual({ cancelled: 'yes' })
  })
})
