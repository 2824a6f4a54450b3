import { MemoryEventStore } from '@tributary/eventlog/memory'
import type { Principal } from '@tributary/service'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { LocalSessionOwners } from './local-session-owners.ts'

const user = (userId: string, roles: string[] = []): Principal => ({
  userId,
  roles,
  method: 'token',
  metadata: {},
})
const anonymous = (sessionId: string): Principal => ({
  ...user(`anonymous:${sessionId}`),
  method: 'anonymous',
})
const KEEP_MS = 86_400_000

async function setUp(clock = new FakeClock(), store = new MemoryEventStore({ clock })) {
  const taken: string[] = []
  const onTaken = (userId: string) => taken.push(userId)
  return {
    clock,
    store,
    taken,
    sessions: await LocalSessionOwners.open({ store, clock, keepMs: KEEP_MS, onTaken }),
  }
}

describe('a session', () => {
  it('is whose it was first named by', async () => {
    const { sessions } = await setUp()
    await sessions.claim('s', user('alice'))
    await sessions.claim('s', user('alice'))
    await expect(sessions.claim('s', user('bob'))).rejects.toThrow(/another user/)
    await expect(sessions.claim('s', anonymous('s'))).rejects.toThrow(/another user/)
    await sessions.claim('s', user('root', ['admin']))
    await expect(sessions.claim('s', user('bob'))).rejects.toThrow(/another user/)
    await sessions.claim('t', user('bob'))
  })

  it('stays whose it is over a restart, and as long as it is used', async () => {
    const { sessions, store, clock } = await setUp()
    await sessions.claim('s', user('alice'))
    for (let day = 0; day < 3; day++) {
      clock.advance(KEEP_MS - 1)
      await sessions.claim('s', user('alice'))
    }
    const again = await setUp(clock, store)
    clock.advance(KEEP_MS - 1)
    await expect(again.sessions.claim('s', user('bob'))).rejects.toThrow(/another user/)
  })

  it('is nobody’s once nothing of it can be read any more', async () => {
    const { sessions, clock } = await setUp()
    await sessions.claim('s', user('alice'))
    clock.advance(KEEP_MS)
    await sessions.claim('s', user('bob'))
    await expect(sessions.claim('s', user('alice'))).rejects.toThrow(/another user/)
  })

  it('that was anonymous becomes that of who signs in with it, whose anonymous streams end', async () => {
    const { sessions, taken } = await setUp()
    await sessions.claim('s', anonymous('s'))
    await sessions.claim('s', anonymous('s'))
    expect(taken).toEqual([])
    await sessions.claim('s', user('alice'))
    expect(taken).toEqual(['anonymous:s'])
    await expect(sessions.claim('s', anonymous('s'))).rejects.toThrow(/another user/)
    await expect(sessions.claim('s', user('bob'))).rejects.toThrow(/another user/)
  })

  it('cannot be pushed out by very many that are anonymous', async () => {
    const { sessions } = await setUp()
    await sessions.claim('s', user('alice'))
    for (let n = 0; n < 100_010; n++) await sessions.claim(`other-${n}`, anonymous(`other-${n}`))
    expect(sessions.size).toBe(100_000)
    await expect(sessions.claim('s', user('bob'))).rejects.toThrow(/another user/)
  })

  it('cannot be pushed out by who names very many', async () => {
    const { sessions } = await setUp()
    await sessions.claim('s', user('alice'))
    for (let n = 0; n < 1_000; n++) await sessions.claim(`other-${n}`, user('bob'))
    expect(sessions.size).toBe(101)
    await expect(sessions.claim('s', user('bob'))).rejects.toThrow(/another user/)
  })
})
