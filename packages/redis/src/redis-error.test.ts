import { describe, expect, test } from 'vitest'
import { RedisReplyError, RedisUnavailableError, reasonOf, toRedisError } from './redis-error.ts'

const error = (message: string, more: object = {}) => Object.assign(new Error(message), more)
const reply = (message: string) => error(message, { name: 'ReplyError' })

describe('toRedisError', () => {
  test.each([
    ["READONLY You can't write against a read only replica. script: 1, on @user_script:1.", true],
    ['LOADING Redis is loading the dataset in memory', true],
    ["OOM command not allowed when used memory > 'maxmemory'.", true],
    ['CLUSTERDOWN The cluster is down', true],
    ['NOREPLICAS Not enough good replicas to write.', true],
  ])('takes %s for what passes, and was not done', (message, isUnsent) => {
    const known = toRedisError(reply(message))
    expect(known).toBeInstanceOf(RedisUnavailableError)
    expect(known).toMatchObject({ isUnsent, statusCode: 503 })
  })

  test.each([
    [error("Stream isn't writeable and enableOfflineQueue options is false"), true],
    [error("Cluster isn't ready and enableOfflineQueue options is false"), true],
    [error('Connection is closed.'), false],
    [error('Command timed out'), false],
    [error('Reached the max retries per request limit (which is 0). Refer to …'), false],
    [error('read ECONNRESET', { code: 'ECONNRESET' }), false],
    [error('self-signed certificate', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), false],
  ])('takes %s for a lost connection, and knows whether it may have been done', (thrown, isUnsent) => {
    expect(toRedisError(thrown, 'it was killed')).toMatchObject({ isUnsent, reason: 'it was killed' })
  })

  test('takes another answer for a mistake, with its kind', () => {
    const known = [reply('STALE epoch 3'), reply('some text')].map((one) => toRedisError(one))
    expect(known[0]).toBeInstanceOf(RedisReplyError)
    expect(known).toMatchObject([
      { kind: 'STALE', reply: 'STALE epoch 3' },
      { kind: 'ERR', reply: 'some text' },
    ])
  })

  test('leaves what is no fault of Redis as it is', () => {
    const thrown = new TypeError('x is not a function')
    expect(toRedisError(thrown)).toBe(thrown)
  })
})

test('reasonOf says the code where there is no message', () => {
  expect(reasonOf(error('', { code: 'ECONNREFUSED' }))).toBe('ECONNREFUSED')
})

test.each([
  ['SELF_SIGNED_CERT_IN_CHAIN', /^it is so: set REDIS_TLS_CA_FILE/],
  ['CERT_HAS_EXPIRED', /^it is so: give the server a new one/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /^it is so: write a name that it has into REDIS_URL/],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /^the server asks for a certificate.* tls-auth-clients/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', /^no TLS is spoken at this port/],
])('reasonOf says what to change where TLS fails with %s', (code, reason) => {
  expect(reasonOf(error('it is so', { code }))).toMatch(reason)
})
