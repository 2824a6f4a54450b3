import { afterAll, describe, expect, it } from 'vitest'
import { startSsrfWorld } from './ssrf-world.ts'

const ssrf = await startSsrfWorld()
const { hostile, outcomeOf } = ssrf
afterAll(() => ssrf[Symbol.asyncDispose]())

describe('a server that answers with too much', () => {
  const ok = (headers: string, body = '') => `HTTP/1.1 200 x\r\n${headers}\r\n\r\n${body}`

  it.each([
    ['headers without end', 'HTTP/1.1 200 x\r\n', 'x: y\r\n', { code: 'task_failed' }],
    ['one header without end', 'HTTP/1.1 200 x\r\nx: ', 'yyyyyyyy', { code: 'task_failed' }],
    ['a status line without end', 'HTTP/1.1 200 ', 'xxxxxxxx', { code: 'task_timeout' }],
    ['interim answers without end', '', 'HTTP/1.1 103 x\r\n\r\n', { code: 'task_timeout' }],
    ['JSON without end', ok('content-type: application/json'), '[[[[[[[[', { code: 'body_too_large' }],
    ['chunks without end', ok('transfer-encoding: chunked'), '1\r\nx\r\n', { result: { truncated: true } }],
    [
      'a chunk of any size',
      ok('transfer-encoding: chunked', 'ffffffff\r\n'),
      'x',
      { result: { truncated: true } },
    ],
    [
      'chunk extensions without end',
      ok('transfer-encoding: chunked', '1;'),
      'xxxxxxxx',
      { code: 'task_timeout' },
    ],
    ['nothing at all', '', '', { code: 'task_timeout' }],
    ['half a header', 'HTTP/1.1 200 x\r\nx', '', { code: 'task_timeout' }],
    ['half a body', ok('content-length: 10', 'half'), '', { code: 'task_timeout' }],
  ])('is cut short: %s', async (_what, bytes, forEver, expected) => {
    const url = hostile.answering(bytes, { forEver })
    expect(await outcomeOf({ url, retries: 0, timeoutMs: 1_000 })).toMatchObject(expected)
  })

  it.each([
    ['is no HTTP', '220 ready\r\n', 'task_failed'],
    ['is of two lengths', ok('content-length: 1\r\ncontent-length: 2', 'xx'), 'connection_reset'],
    [
      'has a length and chunks',
      ok('content-length: 1\r\ntransfer-encoding: chunked', '0\r\n\r\n'),
      'connection_reset',
    ],
    ['has a negative length', ok('content-length: -1', 'x'), 'task_failed'],
    ['has a chunk that is none', ok('transfer-encoding: chunked', '-1\r\nx\r\n'), 'task_failed'],
    ['folds its headers', ok('x: y\r\n z\r\ncontent-length: x'), 'task_failed'],
  ])('is not believed what %s', async (_what, bytes, code) => {
    const url = hostile.answering(bytes)
    expect(await outcomeOf({ url, retries: 0 })).toMatchObject({ code })
  })
})
