import type { RunView } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { pageOfRuns } from './run-list.ts'

const run = (runId: string, startedAt: number, rest: Partial<RunView> = {}): RunView => ({
  runId,
  kind: 'parallel-tasks',
  userId: 'ann',
  status: 'running',
  startedAt,
  totalTasks: 1,
  successCount: 0,
  errorCount: 0,
  ...rest,
})
const idsOf = ({ runs }: { runs: RunView[] }) => runs.map(({ runId }) => runId)

describe('pageOfRuns', () => {
  it('tells the newest first, and of those that began together always in the same order', () => {
    expect(idsOf(pageOfRuns([run('a', 1), run('c', 2), run('b', 2), run('d', 3)], {}))).toEqual([
      'd',
      'c',
      'b',
      'a',
    ])
  })

  it('goes through all of them page by page, each once', () => {
    const all = Array.from({ length: 23 }, (_, n) => run(`r${n}`, n % 4))
    const seen: string[] = []
    for (let after: string | undefined, pages = 1; ; pages++) {
      const page = pageOfRuns(all, after === undefined ? { limit: 5 } : { limit: 5, after })
      seen.push(...idsOf(page))
      after = page.next
      if (after === undefined) {
        expect(pages).toBe(5)
        break
      }
    }
    expect(seen).toEqual(idsOf(pageOfRuns(all, { limit: 1_000 })))
    expect(new Set(seen).size).toBe(23)
  })

  it('goes on behind a run that is there no more, and does not tell of newer ones again', () => {
    const all = [run('a', 1), run('b', 2), run('c', 3)]
    const { next = '' } = pageOfRuns(all, { limit: 2 })
    expect(idsOf(pageOfRuns([run('a', 1), run('z', 9)], { after: next }))).toEqual(['a'])
  })

  it('says that there is more only where there is', () => {
    const all = [run('a', 1), run('b', 2)]
    expect(pageOfRuns(all, { limit: 2 })).not.toHaveProperty('next')
    expect(pageOfRuns([], {})).toEqual({ runs: [] })
    expect(pageOfRuns(all, { limit: 1 }).next).toBe('2.b')
  })

  it('tells of those in a state, and of a kind', () => {
    const all = [
      run('a', 1, { status: 'failed' }),
      run('b', 2, { status: 'failed', kind: 'merge' }),
      run('c', 3),
    ]
    expect(idsOf(pageOfRuns(all, { status: 'failed' }))).toEqual(['b', 'a'])
    expect(idsOf(pageOfRuns(all, { status: 'failed', kind: 'merge' }))).toEqual(['b'])
    expect(idsOf(pageOfRuns(all, { status: 'expired' }))).toEqual([])
  })

  it.each(['', '5', 'x.y', '1.a b', '-1.a', `1.${'a'.repeat(65)}`])('refuses %j as a cursor', (after) => {
    expect(() => pageOfRuns([], { after })).toThrow(expect.objectContaining({ code: 'invalid_cursor' }))
  })
})
