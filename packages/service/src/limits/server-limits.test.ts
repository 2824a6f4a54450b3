import { expect, it } from 'vitest'
import { serverLimitsOf } from './server-limits.ts'

const CONFIG = {
  NODE_ENV: 'development',
  RATE_LIMIT_WINDOW_MS: 60_000,
  MAX_BODY_BYTES: 1_048_576,
  HEADERS_TIMEOUT_MS: 15_000,
  REQUEST_TIMEOUT_MS: 60_000,
  IDLE_TIMEOUT_MS: 72_000,
  MAX_CONNECTIONS: 10_000,
  TRUSTED_PROXIES: [],
}

it('leaves room for sockets beside the streams, unless told how many', () => {
  expect(serverLimitsOf(CONFIG).maxSockets).toBe(21_000)
  expect(serverLimitsOf({ ...CONFIG, MAX_CONNECTIONS: 0 }).maxSockets).toBe(0)
  expect(serverLimitsOf({ ...CONFIG, MAX_SOCKETS: 50 }).maxSockets).toBe(50)
})

it('refuses headers that may take longer than their request', () => {
  expect(() => serverLimitsOf({ ...CONFIG, HEADERS_TIMEOUT_MS: 60_001 })).toThrow(
    'HEADERS_TIMEOUT_MS must not',
  )
  expect(serverLimitsOf({ ...CONFIG, HEADERS_TIMEOUT_MS: 60_000 }).headersTimeoutMs).toBe(60_000)
})

it('believes addresses and networks, and nobody where none is named', () => {
  expect(serverLimitsOf(CONFIG).trustProxy).toBe(false)
  const TRUSTED_PROXIES = ['127.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32']
  expect(serverLimitsOf({ ...CONFIG, TRUSTED_PROXIES }).trustProxy).toEqual(TRUSTED_PROXIES)
})

it.each([
  'true',
  'proxy.example',
  '10.0.0.0/33',
  '10.0.0.0/0',
  '::/0',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '0x7f.1',
  '10.0.0.0/x',
])('refuses to believe %s', (entry) => {
  expect(() => serverLimitsOf({ ...CONFIG, TRUSTED_PROXIES: ['127.0.0.1', entry] })).toThrow(
    `TRUSTED_PROXIES: ${JSON.stringify(entry)} is neither an address`,
  )
})
