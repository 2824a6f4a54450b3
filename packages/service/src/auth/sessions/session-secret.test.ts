import { expect, test } from 'vitest'
import { isKeyOfProcess, readSessionKey } from './session-secret.ts'

const ONE = 'a secret of thirty-two characters'
const OTHER = 'another secret of more than 32 characters'
const bytes = (text: string) => new TextEncoder().encode(text)

test('the key is the secret of sessions, else that of tokens', () => {
  const both = { NODE_ENV: 'production', AUTH_SESSION_SECRET: ONE, AUTH_JWT_SECRET: OTHER }
  expect(readSessionKey(both)).toEqual(bytes(ONE))
  expect(readSessionKey({ NODE_ENV: 'production', AUTH_JWT_SECRET: OTHER })).toEqual(bytes(OTHER))
  expect(isKeyOfProcess({ NODE_ENV: 'development', AUTH_SESSION_SECRET: ONE })).toBe(false)
})

test('without either there is a random one, but none in production', () => {
  const random = readSessionKey({ NODE_ENV: 'development' })
  expect(random).toHaveLength(32)
  expect(readSessionKey({ NODE_ENV: 'development' })).not.toEqual(random)
  expect(isKeyOfProcess({ NODE_ENV: 'development' })).toBe(true)
  expect(readSessionKey({ NODE_ENV: 'production' })).toBeUndefined()
  expect(isKeyOfProcess({ NODE_ENV: 'production' })).toBe(false)
})
