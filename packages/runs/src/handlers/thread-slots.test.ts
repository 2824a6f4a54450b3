import { describe, expect, it } from 'vitest'
import { ThreadSlots } from './thread-slots.ts'

const full = () => new Error('full')
const never = new AbortController().signal

describe('ThreadSlots', () => {
  it('hands a slot that is given back to who waited longest', async () => {
    const slots = new ThreadSlots(1, 2)
    const order: string[] = []
    const release = await slots.acquire(never, full)
    const wait = async (name: string) => {
      const giveBack = await slots.acquire(never, full)
      order.push(name)
      giveBack()
    }
    const waiting = [wait('second'), wait('third')]
    release()
    await Promise.all(waiting)
    expect(order).toEqual(['second', 'third'])
  })

  it('refuses past its bound', async () => {
    const slots = new ThreadSlots(1, 1)
    await slots.acquire(never, full)
    void slots.acquire(never, full)
    await expect(slots.acquire(never, full)).rejects.toThrow('full')
  })

  it('forgets who gives up waiting', async () => {
    const slots = new ThreadSlots(1, 1)
    const release = await slots.acquire(never, full)
    const stop = new AbortController()
    const waiting = slots.acquire(stop.signal, full)
    stop.abort(new Error('no longer'))
    await expect(waiting).rejects.toThrow('no longer')
    const next = slots.acquire(never, full)
    release()
    await expect(next).resolves.toBeTypeOf('function')
  })
})
