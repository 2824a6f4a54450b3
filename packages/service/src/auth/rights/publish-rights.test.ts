import type { Audience } from '@tributary/protocol'
import { describe, expect, test } from 'vitest'
import { maySend, requireAudience } from './publish-rights.ts'

const who = (publish?: string[], roles: string[] = []) => ({ roles, ...(publish && { publish }) })
const isAllowed = (principal: ReturnType<typeof who>, audience: Audience) => {
  try {
    requireAudience(principal, audience)
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'forbidden' })
    return false
  }
}

const EVERY_AUDIENCE: Audience[] = [
  { all: true },
  { users: ['ann'] },
  { groups: ['g'] },
  { roles: ['r'] },
  { sessions: ['s'] },
  { connections: ['c'] },
  { only: { user: 'ann', session: 's', connections: ['c'] } },
]

describe('what may be sent to', () => {
  test.each([
    ['admin', who(undefined, ['admin'])],
    ['publisher', who(undefined, ['publisher'])],
    ['*', who(['*'])],
  ])('is anything for %s', (_name, principal) => {
    for (const audience of EVERY_AUDIENCE) expect(isAllowed(principal, audience)).toBe(true)
  })

  test('is nobody without a role and a claim', () => {
    for (const principal of [who(), who([]), who(undefined, ['ops', 'Publisher', 'admins'])]) {
      for (const audience of EVERY_AUDIENCE) expect(isAllowed(principal, audience)).toBe(false)
      expect(maySend(principal)).toBe(false)
    }
  })

  test.each<[string, Audience, boolean]>([
    ['user:*', { users: ['ann', 'bob'] }, true],
    ['user:*', { all: true }, false],
    ['user:*', { groups: ['g'] }, false],
    ['user:ann', { users: ['ann'] }, true],
    ['user:ann', { users: ['ann', 'bob'] }, false],
    ['user:ann', { users: ['anna'] }, false],
    ['user:an*', { users: ['anna'] }, true],
    ['group:chat-*', { groups: ['chat-1', 'chat-2'] }, true],
    ['group:chat-*', { groups: ['chat-1', 'news'] }, false],
    ['group:chat-*', { users: ['chat-1'] }, false],
    ['role:x', { roles: ['x'] }, true],
    ['role:x', { roles: ['admin'] }, false],
    ['session:s', { sessions: ['s'] }, true],
    ['connection:c', { connections: ['c'] }, true],
    ['all', { all: true }, true],
    ['all', { users: ['ann'] }, false],
    ['group:g', { groups: ['g'], all: true }, false],
    ['group:g', { groups: ['g'], only: { user: 'ann' } }, false],
    ['all', { all: true, where: { plan: 'pro' } }, true],
    ['user:ann', { all: true, where: { userId: 'ann' } }, false],
    ['user:ann', { where: { userId: 'ann' }, users: ['ann'] }, true],
    ['user:ann', { only: { user: 'ann', session: 's' } }, true],
    ['session:s', { only: { user: 'ann', session: 's' } }, true],
    ['user:bob', { only: { user: 'ann', session: 's' } }, false],
    ['connection:a', { only: { connections: ['a', 'b'] } }, false],
    ['connection:*', { only: { user: 'ann', connections: ['a', 'b'] } }, true],
  ])('with %s is %j: %s', (pattern, audience, allowed) => {
    expect(isAllowed(who([pattern]), audience)).toBe(allowed)
  })

  test('is refused by kind before it is known what it is', () => {
    expect(maySend(who(['user:a']), 'user')).toBe(true)
    expect(maySend(who(['user:a']), 'group')).toBe(false)
    expect(maySend(who(['user:a']), 'all')).toBe(false)
    expect(maySend(who(['all']), 'all')).toBe(true)
    expect(maySend(who(['all']), 'user')).toBe(false)
    expect(maySend(who(['user:a']))).toBe(true)
  })
})
