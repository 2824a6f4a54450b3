import { describe, expect, it } from 'vitest'
import { TurnGate } from './turn-gate.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('a turn gate', () => {
  it('lets as many through at once as a turn has steps, and again in the next', async () => {
    const gate = new TurnGate(2)
    expect([gate.take(), gate.take()]).toEqual([undefined, undefined])
    await turn()
    expect(gate.take()).toBeUndefined()
  })

  it('lets the others through turn by turn, in their order', async () => {
    const gate = new TurnGate(2)
    const through: number[] = []
    const asks = Array.from({ length: 7 }, async (_, n) => {
      await gate.take()
      through.push(n)
    })
    await Promise.resolve()
    expect(through).toEqual([0, 1])
    await turn()
    await Promise.resolve()
    expect(through).toEqual([0, 1, 2, 3])
    await Promise.all(asks)
    expect(through).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  it('lets nobody pass those who wait', async () => {
    const gate = new TurnGate(1)
    const through: string[] = []
    const take = async (name: string) => {
      await gate.take()
      through.push(name)
    }
    const asks = [take('first'), take('second')]
    await turn()
    asks.push(take('third'))
    await Promise.all(asks)
    expect(through).toEqual(['first', 'second', 'third'])
  })
})
