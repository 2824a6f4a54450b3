import { describe, expect, test } from 'vitest'
import { DEFAULT_STATIC_TOKENS, parseStaticTokens, readStaticTokens } from './static-tokens.ts'

describe('parseStaticTokens', () => {
  test('reads tokens, users and roles', () => {
    const tokens = parseStaticTokens(' t==ann:admin|ops ;u=bob;; ')
    expect(tokens.size).toBe(2)
    expect(tokens.ownerOf('t=')).toEqual({ userId: 'ann', roles: ['admin', 'ops'], metadata: {} })
    expect(tokens.ownerOf('u')).toEqual({ userId: 'bob', roles: [], metadata: {} })
    expect(tokens.ownerOf('')).toBeUndefined()
  })

  test.each([
    ['secret', 'entry 1 has no "="'],
    ['a=b;=ann', 'entry 2 has no token before its "="'],
    ['secret=', 'entry 1 names no user'],
    ['secret=:admin', 'entry 1 names no user'],
    ['secret=ann:admin|', 'entry 1 names an empty role'],
    ['secret=ann:', 'entry 1 names an empty role'],
    ['secret=ann:a:b', 'entry 1 has more than one ":"'],
    ['sec ret=ann', 'entry 1 has white space in its token'],
    ['secret=ann;secret=bob', 'entry 2 repeats a token'],
  ])('says what is wrong with %s, but not the token', (text, fault) => {
    expect(() => parseStaticTokens(text)).toThrow(`AUTH_STATIC_TOKENS ${fault}`)
    expect(() => parseStaticTokens(text)).not.toThrow('secret')
  })
})

describe('readStaticTokens', () => {
  test('has the defaults outside production', () => {
    expect(readStaticTokens(undefined, 'development').ownerOf('test-token')?.userId).toBe('demo')
    expect(DEFAULT_STATIC_TOKENS).toContain('alice-token=alice')
  })

  test('has none in production, and refuses any', () => {
    expect(readStaticTokens(undefined, 'production').size).toBe(0)
    expect(() => readStaticTokens('a=b', 'production')).toThrow(
      'must not be set where NODE_ENV is production',
    )
  })
})
