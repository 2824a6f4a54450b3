import { createServer as createHttpsServer } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { TaskErrorCode } from '@tributary/protocol'
import { SELF_SIGNED } from '@tributary/testkit'
import { errors } from 'undici'
import { describe, expect, it } from 'vitest'
import { closedPort, listen, serveHttp, serveTcp } from '../test/local-server.ts'
import { AddressPolicy } from './address-policy.ts'
import { classifyError } from './classify-error.ts'
import { OutboundClient, type OutboundClientOptions } from './outbound-client.ts'
import { AddressRefusedError, OutboundError } from './outbound-error.ts'

const limitOf = () => ({ maxBytes: 1e6, overflow: 'error' }) as const
const policy = new AddressPolicy({ allow: ['127.0.0.1', '::1'] })

/** How the two ways to call an address fail. */
async function failures(url: string, options: Partial<OutboundClientOptions> = {}): Promise<unknown[]> {
  await using client = new OutboundClient({ policy, ...options })
  const calls = [client.exchange({ url, limitOf }), client.fetch(url).then((answer) => answer.text())]
  const settled = await Promise.allSettled(calls)
  return settled.map((call) => (call.status === 'rejected' ? classifyError(call.reason) : call.value))
}

const both = (code: TaskErrorCode, message: string): unknown[] => [
  { code, message },
  { code, message },
]

describe('classifyError, of real failures', () => {
  it('a port where nobody listens', async () => {
    expect(await failures(`http://127.0.0.1:${await closedPort()}/`)).toEqual(
      both('connection_refused', 'Connection refused'),
    )
  })

  it('a name whose addresses all refuse', async () => {
    const lookup: LookupFunction = (_hostname, _options, callback) =>
      callback(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ])
    expect(await failures(`http://both.example:${await closedPort()}/`, { lookup })).toEqual(
      both('connection_refused', 'Connection refused'),
    )
  })

  it('an unknown name', async () => {
    const lookup: LookupFunction = (_hostname, _options, callback) =>
      callback(Object.assign(new Error('no'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }), [])
    expect(await failures('http://nowhere.example/', { lookup })).toEqual(
      both('dns_failed', 'Host not found'),
    )
  })

  it('a connect that takes too long, its lookup included', async () => {
    const options = { lookup: () => {}, connectTimeoutMs: 20 }
    expect(await failures('http://slow.example/', options)).toEqual(
      both('connect_timeout', 'Connection timeout'),
    )
  })

  it('a connection that is closed before the answer', async () => {
    await using server = await serveTcp((socket) => socket.on('data', () => socket.end()))
    expect(await failures(server.origin)).toEqual(both('connection_reset', 'Connection reset'))
  })

  it('a connection that is reset before the answer', async () => {
    await using server = await serveTcp((socket) => socket.on('data', () => socket.resetAndDestroy()))
    expect(await failures(server.origin)).toEqual(both('connection_reset', 'Connection reset'))
  })

  it.each(['content-length: 100', 'transfer-encoding: chunked'])(
    'a body that breaks off (%s)',
    async (header) => {
      for (const end of ['end', 'resetAndDestroy'] as const) {
        await using server = await serveTcp((socket) =>
          socket.on('data', () =>
            socket.write(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n5\r\nhello\r\n`, () => socket[end]()),
          ),
        )
        expect(await failures(server.origin), end).toEqual(both('connection_reset', 'Connection reset'))
      }
    },
  )

  it('a certificate that nobody trusts', async () => {
    await using server = await listen(createHttpsServer(SELF_SIGNED, (_, answer) => answer.end()))
    expect(await failures(`https://127.0.0.1:${server.port}/`)).toEqual(
      both('tls_failed', 'Certificate not trusted'),
    )
  })

  it('a server that speaks no TLS', async () => {
    await using server = await serveHttp((_, answer) => answer.end())
    expect(await failures(`https://127.0.0.1:${server.port}/`)).toEqual(both('tls_failed', 'TLS failed'))
  })

  it('a server that speaks no HTTP', async () => {
    await using server = await serveTcp((socket) => socket.on('data', () => socket.write('220 ready\r\n')))
    expect(await failures(server.origin)).toEqual(both('task_failed', 'Answer is not valid HTTP'))
  })

  it('a server that never answers', async () => {
    await using server = await serveTcp(() => {})
    expect(await failures(server.origin, { readTimeoutMs: 20 })).toEqual(both('task_timeout', 'Task timeout'))
  })

  it('a body that comes to a standstill', async () => {
    await using server = await serveTcp((socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello'),
    )
    expect(await failures(server.origin, { readTimeoutMs: 20 })).toEqual(both('task_timeout', 'Task timeout'))
  })

  it('an address that may not be called', async () => {
    expect(await failures('http://127.0.0.2/')).toEqual(
      both('address_refused', 'The address may not be called'),
    )
  })

  it('headers that may not be sent', async () => {
    await using client = new OutboundClient({ policy })
    const call = client.exchange({ url: 'http://127.0.0.1/', headers: { a: 'b\r\nc: d' }, limitOf })
    await expect(call.catch(classifyError)).resolves.toEqual({
      code: 'task_failed',
      message: 'Invalid request',
    })
  })
})

describe('classifyError, of errors as they are thrown', () => {
  const coded = (code: string, more: object = {}): Error =>
    Object.assign(new Error('secret 10.0.0.1'), { code, ...more })

  const several = (errors: Error[]): AggregateError => new AggregateError(errors, 'secret')

  it.each<[unknown, TaskErrorCode, string]>([
    [new AddressRefusedError(), 'address_refused', 'The address may not be called'],
    [new OutboundError('deadline_exceeded', 'Deadline exceeded'), 'deadline_exceeded', 'Deadline exceeded'],
    [
      Object.assign(new Error('No time left'), { code: 'deadline_exceeded' }),
      'deadline_exceeded',
      'No time left',
    ],
    [new DOMException('x', 'AbortError'), 'cancelled', 'Cancelled'],
    [new DOMException('x', 'TimeoutError'), 'task_timeout', 'Task timeout'],
    [new errors.RequestAbortedError(), 'cancelled', 'Cancelled'],
    [new errors.ClientDestroyedError(), 'cancelled', 'Cancelled'],
    [new errors.ConnectTimeoutError(), 'connect_timeout', 'Connection timeout'],
    [new errors.HeadersTimeoutError(), 'task_timeout', 'Task timeout'],
    [new errors.BodyTimeoutError(), 'task_timeout', 'Task timeout'],
    [new errors.HeadersOverflowError(), 'task_failed', 'Headers of the answer are too large'],
    [new errors.ResponseExceededMaxSizeError(), 'body_too_large', 'Body too large'],
    [coded('EHOSTUNREACH', { syscall: 'connect' }), 'connection_refused', 'Host unreachable'],
    [coded('ETIMEDOUT', { syscall: 'connect' }), 'connect_timeout', 'Connection timeout'],
    [coded('ETIMEDOUT', { syscall: 'read' }), 'connection_reset', 'Connection reset'],
    [coded('EAI_AGAIN', { syscall: 'getaddrinfo' }), 'dns_failed', 'Name lookup failed'],
    [coded('ECONNREFUSED', { syscall: 'queryA' }), 'dns_failed', 'Name lookup failed'],
    [coded('CERT_HAS_EXPIRED'), 'tls_failed', 'Certificate expired'],
    [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'tls_failed', 'Certificate not trusted'],
    [coded('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'), 'tls_failed', 'TLS failed'],
    [several([coded('ENETUNREACH'), coded('ECONNREFUSED')]), 'connection_refused', 'Connection refused'],
    [several([coded('ECONNREFUSED'), coded('ETIMEDOUT')]), 'connect_timeout', 'Connection timeout'],
    [several([coded('ENETUNREACH')]), 'connection_refused', 'Host unreachable'],
    [Object.assign(several([]), { code: 'ECONNREFUSED' }), 'connection_refused', 'Connection refused'],
    [new TypeError('fetch failed', { cause: coded('ECONNRESET') }), 'connection_reset', 'Connection reset'],
    [new Error('x', { cause: several([coded('EPIPE')]) }), 'connection_reset', 'Connection reset'],
    [coded('E_SOMETHING'), 'task_failed', 'Task failed'],
    [new Error('secret'), 'task_failed', 'Task failed'],
    ['the reason of an abort', 'cancelled', 'Cancelled'],
    [undefined, 'task_failed', 'Task failed'],
  ])('%s is %s', (error, code, message) => {
    expect(classifyError(error)).toEqual({ code, message })
  })

  it('gives up on an error that is its own cause', () => {
    const error = new Error('round')
    error.cause = error
    expect(classifyError(error).code).toBe('task_failed')
  })
})
