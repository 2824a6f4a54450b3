import type { OnceKey } from '@tributary/eventlog'
import { describe, expect, it } from 'vitest'
import type { IndexedRun, NewestRunsQuery, RunIndex } from '../src/run-index.ts'
import { newRecord } from '../src/run-record.ts'

/** An empty index for one test, and the same for each node that opens it. */
export type NewIndex = () => Promise<{ open(): Promise<RunIndex>; now(): number } & AsyncDisposable>

const KEEP_ALL = { maxAgeMs: 86_400_000, maxCount: 1_000 }

export function runOf(runId: string, startedAt: number, userId = 'ann', once?: OnceKey): IndexedRun {
  const keyed = once && { key: once.key, fingerprint: once.fingerprint }
  return { runId, record: newRecord({ kind: 'flow', userId, totalTasks: 1 }, startedAt, keyed) }
}

export function endedAt(run: IndexedRun, at: number): IndexedRun {
  return {
    ...run,
    record: { ...run.record, ended: { at, status: 'succeeded' } },
    lastEventId: `${run.runId}.1-1`,
  }
}

async function idsOf(index: RunIndex, query: NewestRunsQuery = {}): Promise<string[]> {
  const ids: string[] = []
  for await (const page of index.newest(query)) ids.push(...page.map(({ runId }) => runId))
  return ids
}

/** What holds of every index of runs. */
export function runIndexContract(name: string, newIndex: NewIndex): void {
  const onceOf = (fingerprint = 'f'): OnceKey => ({ key: 'k', fingerprint, windowMs: 60_000 })

  async function added(index: RunIndex, run: IndexedRun, once?: OnceKey): Promise<IndexedRun> {
    await index.claim(run.runId, once)
    await index.add(run)
    return run
  }

  describe(`${name}, as an index of runs`, () => {
    it('knows a run from its acceptance on, and how it ended', async () => {
      await using place = await newIndex()
      const [here, there] = [await place.open(), await place.open()]
      const run = runOf('run_1', place.now())
      await here.claim('run_1')
      expect(await there.find('run_1')).toBeUndefined()
      await here.add(run)
      expect(await there.find('run_1')).toMatchObject(run)
      const ended = endedAt(run, place.now())
      await there.end(ended)
      await there.end(ended)
      expect(await here.find('run_1')).toMatchObject(ended)
    })

    it('tells the newest first, of all or of one user, from wherever one goes on', async () => {
      await using place = await newIndex()
      const index = await place.open()
      const now = place.now()
      const runs = ['a', 'b', 'c', 'd', 'e'].map((id, n) =>
        runOf(`run_${id}`, now + Math.floor(n / 2), n % 2 === 0 ? 'ann' : 'bob b'),
      )
      for (const run of runs) await added(index, run)
      await index.end(endedAt(runOf('run_b', now, 'bob b'), now))
      expect(await idsOf(index)).toEqual(['run_e', 'run_d', 'run_c', 'run_b', 'run_a'])
      expect(await idsOf(index, { userId: 'ann' })).toEqual(['run_e', 'run_c', 'run_a'])
      const after = { startedAt: now + 1, runId: 'run_d' }
      expect(await idsOf(index, { after })).toEqual(['run_c', 'run_b', 'run_a'])
      expect(await idsOf(index, { after, userId: 'bob b' })).toEqual(['run_b'])
      expect(await idsOf(index, { userId: 'ann b' })).toEqual([])
    })

    it('tells more than fit on a page', async () => {
      await using place = await newIndex()
      const index = await place.open()
      const now = place.now()
      const runs = Array.from({ length: 300 }, (_, n) => runOf(`run_${String(n).padStart(3, '0')}`, now))
      await Promise.all(runs.map((run) => added(index, run)))
      expect(await idsOf(index)).toEqual(runs.map(({ runId }) => runId).toReversed())
    })

    it('tells of those that have not ended, in the order of their ids', async () => {
      await using place = await newIndex()
      const index = await place.open()
      const now = place.now()
      for (const id of ['run_c', 'run_a', 'run_d', 'run_b']) await added(index, runOf(id, now))
      await index.end(endedAt(runOf('run_b', now), now))
      await index.abandon('run_d')
      await added(index, runOf('run_e', now))
      const unfinished = async (after: string, limit: number) =>
        (await index.unfinished(after, limit)).map(({ runId }) => runId)
      expect(await unfinished('', 2)).toEqual(['run_a', 'run_c'])
      expect(await unfinished('run_a', 10)).toEqual(['run_c', 'run_e'])
    })

    it('gives a key to one of those who claim it at once, and tells the others of that', async () => {
      await using place = await newIndex()
      const [here, there] = [await place.open(), await place.open()]
      const once = onceOf()
      const claims = await Promise.all([here.claim('run_1', once), there.claim('run_2', once)])
      expect(claims.map(({ kind }) => kind).toSorted()).toEqual(['ours', 'theirs'])
      const theirs = claims.find((claim) => claim.kind === 'theirs')
      if (theirs?.kind !== 'theirs') throw new Error('nobody was told')
      await (theirs.runId === 'run_1' ? here : there).add(runOf(theirs.runId, place.now(), 'ann', once))
      expect(await theirs.accepted).toBe(true)
      expect(await there.claim('run_3', once)).toMatchObject({ kind: 'theirs', runId: theirs.runId })
      await expect(here.claim('run_4', onceOf('other'))).rejects.toMatchObject({
        code: 'idempotency_conflict',
      })
    })

    it('frees the key of a run that is not accepted, before or after it was added', async () => {
      await using place = await newIndex()
      const [here, there] = [await place.open(), await place.open()]
      await here.claim('run_1', onceOf())
      const waiting = await there.claim('run_2', onceOf())
      if (waiting.kind !== 'theirs') throw new Error('the key was not taken')
      await here.abandon('run_1')
      expect(await waiting.accepted).toBe(false)
      await added(there, runOf('run_2', place.now(), 'ann', onceOf()), onceOf())
      await there.abandon('run_2')
      expect(await here.find('run_2')).toBeUndefined()
      expect(await idsOf(here)).toEqual([])
    })

    it('lets go of the oldest ended runs that are too many, once over all nodes, and of none that goes on', async () => {
      await using place = await newIndex()
      const [here, there] = [await place.open(), await place.open()]
      const now = place.now()
      await added(here, runOf('run_live', now))
      for (const [n, id] of ['run_a', 'run_b', 'run_c'].entries()) {
        await here.end(endedAt(await added(here, runOf(id, now)), now + n))
      }
      const keepOne = { ...KEEP_ALL, maxCount: 1 }
      const gone = (await Promise.all([here.forget(keepOne), there.forget(keepOne)])).flat()
      expect(gone.toSorted()).toEqual(['run_a', 'run_b'])
      await here.dropped(gone)
      expect(await there.find('run_a')).toBe('gone')
      expect(await idsOf(there)).toEqual(['run_live', 'run_c'])
      expect(await there.forget(keepOne)).toEqual([])
      // What was accepted with a key stays known by it.
      await there.end(endedAt(runOf('run_a', now), now))
      expect(await there.find('run_a')).toBe('gone')
    })

    it('lets go of ended runs that are too old', async () => {
      await using place = await newIndex()
      const index = await place.open()
      const now = place.now()
      await index.end(endedAt(await added(index, runOf('run_old', now - 90_000), onceOf()), now - 70_000))
      await index.end(endedAt(await added(index, runOf('run_new', now)), now))
      expect(await index.forget({ ...KEEP_ALL, maxAgeMs: 60_000 })).toEqual(['run_old'])
      expect(await index.claim('run_2', onceOf())).toMatchObject({ kind: 'theirs', runId: 'run_old' })
    })
  })
}
