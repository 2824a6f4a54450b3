import { FakeClock } from '@tributary/testkit'
import { describe, expect, test } from 'vitest'
import type { Principal } from '../principal.ts'
import { LogRevocationStore, type RevocationLog } from './revocation-store.ts'
import { Revocations } from './revocations.ts'

const KEPT_S = 3_600
const START = 1_700_000_000_000

/** The attributes of a log, in memory. */
class Attributes implements RevocationLog {
  readonly attributes = new Map<string, string>()
  fails = false

  async append(_: readonly [], { attributes }: Parameters<RevocationLog['append']>[1]): Promise<void> {
    if (this.fails) throw new Error('the disk is full')
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null) this.attributes.delete(key)
      else this.attributes.set(key, value)
    }
  }
}

function setting(options: { max?: number; store?: Attributes; clock?: FakeClock } = {}) {
  const { store = new Attributes(), clock = new FakeClock(START), ...rest } = options
  const revocations = new Revocations({ store: new LogRevocationStore(store), clock, keptS: KEPT_S, ...rest })
  return { store, clock, revocations }
}

const ann = (issuedAt?: number): Principal => ({
  userId: 'ann',
  roles: [],
  method: 'token',
  metadata: {},
  tokenId: 't1',
  ...(issuedAt === undefined ? {} : { issuedAt }),
})

describe('a revocation', () => {
  test('of a user is of what was issued before it, and of what does not say when', async () => {
    const { clock, revocations } = setting()
    expect(revocations.isRevoked(ann())).toBe(false)
    clock.advance(500)
    await revocations.add({ userId: 'ann' })
    const issuedAt = [undefined, START - 60_000, START, START + 1_000]
    expect(issuedAt.map((each) => revocations.isRevoked(ann(each)))).toEqual([true, true, true, false])
    expect(revocations.isRevoked({ ...ann(START), userId: 'bob' })).toBe(false)
    expect(() => revocations.check(ann(START))).toThrow(
      expect.objectContaining({ code: 'token_revoked', statusCode: 401 }),
    )
    clock.advance(1_000)
    await revocations.add({ userId: 'ann' })
    expect(revocations.isRevoked(ann(START + 1_000))).toBe(true)
  })

  test('of a token is of that and of what was got with it, whenever that was', async () => {
    const { revocations } = setting()
    await revocations.add({ tokenId: 't1' })
    const later = START + 60_000
    expect(revocations.isRevoked(ann(later))).toBe(true)
    expect(revocations.isRevoked({ ...ann(later), tokenId: 't2' })).toBe(false)
    expect(revocations.isRevoked({ ...ann(later), tokenId: 't2', signIn: { tokenId: 't1' } })).toBe(true)
    expect(revocations.isRevoked({ userId: 't1', tokenId: 'ann', issuedAt: START })).toBe(false)
  })

  test('is there after a restart, is taken back for good, and is forgotten when its time is over', async () => {
    const { store, clock, revocations } = setting()
    await revocations.add({ userId: 'ann' })
    await revocations.add({ tokenId: 't9' })
    const again = setting({ store, clock })
    expect(again.revocations.isRevoked(ann(START))).toBe(true)
    expect(again.revocations.list(10)).toEqual({
      revocations: [
        { tokenId: 't9', revokedAt: START, forgottenAt: START + KEPT_S * 1_000 },
        { userId: 'ann', revokedAt: START, forgottenAt: START + KEPT_S * 1_000 },
      ],
    })
    expect(await again.revocations.lift({ userId: 'ann' })).toBe(true)
    expect(await again.revocations.lift({ userId: 'ann' })).toBe(false)
    expect(setting({ store, clock }).revocations.isRevoked(ann(START))).toBe(false)
    clock.advance(KEPT_S * 1_000 - 1)
    expect(again.revocations.isRevoked({ tokenId: 't9' })).toBe(true)
    clock.advance(1)
    expect(again.revocations.isRevoked({ tokenId: 't9' })).toBe(false)
    expect(again.revocations.list(10)).toEqual({ revocations: [] })
    await again.revocations.add({ userId: 'bob' })
    expect([...store.attributes.keys()]).toEqual(['user:bob'])
  })

  test('holds before it is stored, and where it cannot be; one taken back holds until that is stored', async () => {
    const { store, revocations } = setting()
    const adding = revocations.add({ userId: 'ann' })
    expect(revocations.isRevoked(ann(START))).toBe(true)
    await adding
    store.fails = true
    await expect(revocations.add({ tokenId: 't2' })).rejects.toThrow('the disk is full')
    expect(revocations.isRevoked({ tokenId: 't2' })).toBe(true)
    await expect(revocations.lift({ userId: 'ann' })).rejects.toThrow('the disk is full')
    expect(revocations.isRevoked(ann(START))).toBe(true)
  })

  test('that could not be stored is stored with the next, unless it was taken back', async () => {
    const { store, clock, revocations } = setting()
    store.fails = true
    await expect(revocations.add({ userId: 'ann' })).rejects.toThrow('the disk is full')
    await expect(revocations.add({ tokenId: 't2' })).rejects.toThrow('the disk is full')
    store.fails = false
    await revocations.lift({ tokenId: 't2' })
    await revocations.add({ userId: 'bob' })
    expect([...store.attributes.keys()]).toEqual(['user:ann', 'user:bob'])
    expect(setting({ store, clock }).revocations.isRevoked(ann(START))).toBe(true)
  })

  test('is refused where there are too many, and none is dropped for it', async () => {
    const { clock, revocations } = setting({ max: 2 })
    await revocations.add({ userId: 'a' })
    await revocations.add({ userId: 'b' })
    await expect(revocations.add({ userId: 'c' })).rejects.toMatchObject({ code: 'overloaded' })
    await revocations.add({ userId: 'b' })
    const revoked = ['a', 'b', 'c'].map((userId) => revocations.isRevoked({ userId }))
    expect(revoked).toEqual([true, true, false])
    clock.advance(KEPT_S * 1_000)
    await revocations.add({ userId: 'c' })
  })

  test('is listed a page at a time', async () => {
    const { revocations } = setting()
    for (const userId of ['c', 'a', 'b']) await revocations.add({ userId })
    const { revocations: first, next } = revocations.list(2)
    const { revocations: rest, ...end } = revocations.list(2, next)
    expect([...first, ...rest].map(({ userId }) => userId)).toEqual(['a', 'b', 'c'])
    expect(end).toEqual({})
  })

  test.each([{}, { userId: 'a', tokenId: 'b' }])('is of a user or a token: not of %j', async (target) => {
    const { revocations } = setting()
    await expect(revocations.add(target)).rejects.toMatchObject({ code: 'invalid_request' })
  })
})
