import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { RawStream } from './raw-stream.ts'
import { startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect?token=alice-token'
const ONE_EACH = { MAX_CONNECTIONS_PER_ADDRESS: '1', MAX_CONNECTIONS_PER_USER: '0' }

/** The statuses of streams that are opened one after the other, each forwarded for somebody, and stay open. */
async function statusesOf(url: string, forwardedFor: readonly string[]): Promise<number[]> {
  const statuses: number[] = []
  const streams = forwardedFor.map((addresses) => ({ 'x-forwarded-for': addresses }))
  const open: RawStream[] = []
  for (const headers of streams) {
    const stream = new RawStream(url + CONNECT, headers)
    open.push(stream)
    statuses.push(await stream.status())
  }
  for (const stream of open) stream[Symbol.dispose]()
  return statuses
}

describe('behind a trusted proxy', () => {
  const env = { ...ONE_EACH, TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8' }

  it.each([
    ['each reader has an address', ['203.0.113.1', '203.0.113.2', '203.0.113.1'], [200, 200, 429]],
    [
      'what stands before the address that the proxy saw says nothing',
      ['198.51.100.1, 203.0.113.1', '198.51.100.2, 203.0.113.1'],
      [200, 429],
    ],
    [
      'a second trusted proxy is passed over',
      ['203.0.113.1, 10.1.2.3', '203.0.113.2, 10.1.2.3', '203.0.113.2, 10.3.2.1'],
      [200, 200, 429],
    ],
    ['a /64 of IPv6 is one', ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'], [200, 429, 200]],
  ])('%s', async (_what, forwardedFor, statuses) => {
    await using gateway = await startGateway({ env })
    expect(await statusesOf(gateway.url, forwardedFor)).toEqual(statuses)
  })

  it('bad tokens are limited by the address of who sent them', async () => {
    await using gateway = await startGateway({
      clock: new FakeClock(),
      env: { ...env, RATE_LIMIT_REQUESTS: '1' },
    })
    const ask = async (address: string) =>
      (await fetch(`${gateway.url}/api/runs?token=bad`, { headers: { 'x-forwarded-for': address } })).status
    expect([await ask('203.0.113.1'), await ask('203.0.113.1'), await ask('203.0.113.2')]).toEqual([
      401, 429, 401,
    ])
    // What is no address is the proxy's own.
    expect([await ask('x'.repeat(9_000)), await ask('y'.repeat(9_000))]).toEqual([401, 429])
  })
})

it.each([
  ['no proxy is trusted', {}],
  ['it is another', { TRUSTED_PROXIES: '10.0.0.0/8,192.0.2.7,2001:db8::/32' }],
])('X-Forwarded-For says nothing where %s', async (_what, env) => {
  await using gateway = await startGateway({ env: { ...ONE_EACH, ...env } })
  expect(await statusesOf(gateway.url, ['203.0.113.1', '203.0.113.2'])).toEqual([200, 429])
})

it.each([{}, { TRUSTED_PROXIES: '127.0.0.1' }])(
  'what is forwarded is not of this machine, with %j',
  async (env) => {
    await using gateway = await startGateway({ env })
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via']) {
      const answer = await fetch(`${gateway.url}/api/runs`, { headers: { [name]: '127.0.0.1' } })
      expect([name, answer.status]).toEqual([name, 401])
    }
  },
)
