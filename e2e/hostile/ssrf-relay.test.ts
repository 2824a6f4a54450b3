import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { HYBRID, MERGE, RELAY } from '../services.ts'
import { codeOf } from './answer.ts'
import { ALLOWED, redirect, startSsrfWorld } from './ssrf-world.ts'

/** Names of origins that may be relayed, whatever they resolve to unless that is denied. */
const RELAYED = [
  'open.test',
  'v4.test',
  'v6.test',
  'mapped.test',
  'allowed-and-not.test',
  'rebinds-on-retry.test',
]
const ssrf = await startSsrfWorld((port) => ({
  RELAY_ALLOWED_ORIGINS: RELAYED.map((name) => `http://${name}:${port}`).join(','),
  OUTBOUND_DENY: '127.0.0.1,::1',
  UPSTREAM_GIVE_UP_MS: '5000',
}))
const { trap, hostile, world, run } = ssrf
const { port } = trap
afterAll(() => ssrf[Symbol.asyncDispose]())

const CALLS = [
  ['relay', RELAY, (endpoint: string) => ({ endpoint })],
  ['relay of a POST', RELAY, (endpoint: string) => ({ endpoint, body: {} })],
  ['merge', MERGE, (endpoint: string) => [{ name: 's', endpoint }]],
] as const

describe.each(CALLS)('a %s', (_name, path, bodyOf) => {
  it.each([
    ...[
      '127.0.0.1',
      '2130706433',
      '0x7f.1',
      '[::1]',
      '[::ffff:7f00:1]',
      'localhost',
      '169.254.169.254',
      'redis',
    ].map((host) => [`http://${host}:${port}/`, 403, 'origin_refused'] as const),
    [`http://open.test:${port + 1}/`, 403, 'origin_refused'],
    [`https://open.test:${port}/`, 403, 'origin_refused'],
    [`http://open.test.:${port}/`, 403, 'origin_refused'],
    [`http://open.test:${port}@127.0.0.1:${port}/`, 422, 'invalid_endpoint'],
    [`http://user:password@open.test:${port}/`, 422, 'invalid_endpoint'],
    [`http://127.0.0.1:${port}\\@open.test:${port}/`, 403, 'origin_refused'],
    [`//127.0.0.1:${port}/`, 422, 'invalid_endpoint'],
    [`/\\127.0.0.1:${port}/`, 422, 'invalid_endpoint'],
    ['/%zz', 422, 'invalid_endpoint'],
    ['http://[fe80::1%25lo]/', 422, 'invalid_endpoint'],
    ['file:///etc/passwd', 422, 'invalid_endpoint'],
    ['gopher://open.test/', 422, 'invalid_endpoint'],
  ] as const)('of %s is not accepted', async (endpoint, status, code) => {
    const answer = await world.hold({
      name: endpoint,
      as: 'user',
      path,
      body: bodyOf(endpoint),
      status,
      code,
    })
    expect(codeOf(answer)).toBe(code)
    expect(answer.body).not.toContain('password')
    expect(trap.connections).toBe(0)
  })

  const failureOf = (endpoint: string) =>
    run(world.gateway.url + path, bodyOf(endpoint), (events) => events.ofType('source_error')[0]?.data)

  it.each(['v4.test', 'v6.test', 'mapped.test', 'allowed-and-not.test'])(
    'of %s, which may be named and means what is denied, is refused',
    async (host) => {
      expect(await failureOf(`http://${host}:${port}/`)).toMatchObject({
        code: 'address_refused',
        error: 'The address may not be called',
      })
      expect(trap.connections).toBe(0)
    },
  )

  it.each([301, 302, 303, 307, 308])('follows no redirect by a %i', async (status) => {
    const bytes = redirect(`http://127.0.0.1:${port}/`, status)
    const failure = await failureOf(hostile.answering(bytes, { host: 'open.test' }))
    expect(failure).toMatchObject({ code: 'upstream_failed' })
    expect(trap.connections).toBe(0)
  })

  it.each([
    ['an event without end', 'data: ', 'xxxxxxxx'],
    ['an event of many lines', 'data: x\n', 'data: x\n'],
  ])('ends at %s', async (_what, bytes, forEver) => {
    const head = 'HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\n\r\n'
    const url = hostile.answering(head + bytes, { forEver, host: 'open.test' })
    expect(await failureOf(url)).toMatchObject({ code: 'event_too_large' })
  })

  it('ends at an event that was packed small', async () => {
    const packed = gzipSync(`data: ${'x'.repeat(1_000_000)}`).toString('latin1')
    const head = 'HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n'
    const url = hostile.answering(`${head}content-length: ${packed.length}\r\n\r\n${packed}`, {
      host: 'open.test',
    })
    expect(await failureOf(url)).toMatchObject({ code: 'event_too_large' })
  })
})

describe('a relay of a name that means something else the second time', () => {
  it('is refused where it comes back', async () => {
    const head = 'HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n'
    const endpoint = hostile.answering(
      `${head}retry: 1\nid: 1\nevent: disconnected\ndata: {"reconnect":true}\n\n`,
      {
        host: 'rebinds-on-retry.test',
      },
    )
    const failure = await run(
      world.gateway.url + RELAY,
      { endpoint },
      (events) => events.ofType('source_error')[0]?.data,
    )
    expect(failure).toMatchObject({ code: 'address_refused' })
    expect(trap.connections).toBe(0)
  })
})

describe('a named task of the gateway does not reach', () => {
  it.each([
    `http://127.0.0.1:${port}/`,
    `http://[::ffff:7f00:1]:${port}/`,
    `http://v4.test:${port}/`,
    `http://${ALLOWED}:${port}/`,
    'http://169.254.169.254/',
    'http://redis:6379/',
  ])('%s', async (url) => {
    const body = { localTasks: [{ id: 't', name: 'Process Image', input: { url } }] }
    const failure = await run(world.gateway.url + HYBRID, body, (events) => events.ofType('error')[0]?.data)
    expect(failure).toMatchObject({ code: 'address_refused', error: 'The address may not be called' })
    expect(trap.connections).toBe(0)
  })
})
