import type { ConsistencyFault, ConsistencyFaultKind } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { ConsistencyCheck, type FaultSource } from './consistency-check.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A source whose faults the test sets; each that is corrected is gone from it. */
class Held implements FaultSource {
  readonly name = 'held'
  readonly faults = new Map<string, ConsistencyFaultKind>()
  looks = 0
  stubborn = false

  look(): ConsistencyFault[] {
    this.looks += 1
    return [...this.faults].map(([id, kind]) => ({
      kind,
      id,
      detail: 'wrong',
      correct: () => this.#correct(id),
    }))
  }

  #correct(id: string): void {
    if (this.stubborn) throw new Error('it cannot be')
    this.faults.delete(id)
  }
}

function setUp(action: 'auto_correct' | 'fail_fast' = 'auto_correct', others: FaultSource[] = []) {
  const clock = new FakeClock()
  const held = new Held()
  const said: string[] = []
  const failures: string[] = []
  const log = {
    warn: (_: object, message: string) => said.push(message),
    fatal: (_: object, message: string) => said.push(message),
  }
  const fail = (message: string) => failures.push(message)
  const check = new ConsistencyCheck({
    sources: [held, ...others],
    clock,
    intervalMs: 60_000,
    action,
    log,
    fail,
  })
  /** A check, with what is to happen between its two looks. */
  const run = async (between: () => void = () => undefined) => {
    const running = check.run()
    await turn()
    between()
    clock.advance(2_000)
    return running
  }
  return { clock, held, check, run, said, failures }
}

describe('the consistency check', () => {
  it('corrects what two looks in a row find, counts it by kind and reports it', async () => {
    const { held, check, run, said, failures } = setUp()
    held.faults.set('c1', 'leaked_connection').set('c2', 'ghost_in_cluster')
    const { found, totals } = await run()
    expect(found).toEqual([
      { kind: 'leaked_connection', id: 'c1', detail: 'wrong', corrected: true },
      { kind: 'ghost_in_cluster', id: 'c2', detail: 'wrong', corrected: true },
    ])
    expect(totals).toMatchObject({ leaked_connection: 1, ghost_in_cluster: 1, leaked_timer: 0 })
    expect([held.faults.size, said.length, failures]).toEqual([0, 1, []])
    expect((await check.run()).found).toEqual([])
  })

  it('takes nothing for a fault that is gone at the second look, or came only then', async () => {
    const { held, run, said } = setUp()
    held.faults.set('c1', 'leaked_connection')
    const between = () => {
      held.faults.clear()
      held.faults.set('c2', 'leaked_connection')
    }
    expect((await run(between)).found).toEqual([])
    expect([[...held.faults.keys()], said]).toEqual([['c2'], []])
  })

  it('ends the process where it is to fail fast, says why, and corrects nothing', async () => {
    const { held, run, failures } = setUp('fail_fast')
    held.faults.set('c1', 'leaked_timer').set('c2', 'leaked_timer')
    const { found } = await run()
    expect(found.map(({ corrected }) => corrected)).toEqual([false, false])
    expect(held.faults.size).toBe(2)
    expect(failures).toEqual([
      expect.stringMatching(/leaked_timer "c1", wrong, and 1 more\. CONSISTENCY_ACTION=auto_correct/),
    ])
  })

  it('goes on with the rest where something cannot be looked at, or cannot be corrected', async () => {
    const away: FaultSource = { name: 'registry', look: () => Promise.reject(new Error('Redis is away')) }
    const { held, run } = setUp('auto_correct', [away])
    held.faults.set('c1', 'leaked_timer')
    held.stubborn = true
    expect(await run()).toMatchObject({ found: [{ corrected: false }], skipped: ['registry: Redis is away'] })
  })

  it('looks at its interval, once at a time, and no more when it is closed', async () => {
    const { clock, held, check } = setUp()
    check.begin()
    clock.advance(59_999)
    expect(held.looks).toBe(0)
    clock.advance(1)
    expect(held.looks).toBe(1)
    expect(check.run()).toBe(check.run())
    await check.run()
    check.close()
    clock.advance(120_000)
    expect(held.looks).toBe(1)
    expect(check.last?.found).toEqual([])
  })

  it('names a hundred and counts all', async () => {
    const { held, run } = setUp()
    for (let n = 0; n < 150; n += 1) held.faults.set(`c${n}`, 'leaked_timer')
    const { found, totals } = await run()
    expect([found.length, totals.leaked_timer, held.faults.size]).toEqual([100, 150, 0])
  })
})
