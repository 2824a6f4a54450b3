import type { LookupAddress } from 'node:dns'
import { createServer as createHttpsServer } from 'node:https'
import type { LookupFunction } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { SELF_SIGNED, serveDns } from '@tributary/testkit'
import { type buildConnector, Client } from 'undici'
import { describe, expect, it } from 'vitest'
import { listen, serveHttp } from '../test/local-server.ts'
import { AddressPolicy } from './address-policy.ts'
import { guardedConnector } from './guarded-connector.ts'
import { nameServerLookup } from './name-server-lookup.ts'
import { AddressRefusedError } from './outbound-error.ts'

const answering =
  (...addresses: LookupAddress[]): LookupFunction =>
  (_hostname, options, callback) =>
    options.all === true
      ? callback(null, addresses)
      : callback(null, addresses[0]?.address ?? '', addresses[0]?.family)

const LOOPBACK = { address: '127.0.0.1', family: 4 }
const noLookup: LookupFunction = () => {
  throw new Error('a refused host must not be looked up')
}

async function get(url: string, policy: AddressPolicy, lookup?: LookupFunction): Promise<string> {
  const { origin, pathname } = new URL(url)
  const connect = guardedConnector(new URL(origin), {
    policy,
    connectTimeoutMs: 5000,
    ...(lookup === undefined ? {} : { lookup }),
  })
  const client = new Client(origin, { connect })
  try {
    const { body } = await client.request({ method: 'GET', path: pathname })
    return await body.text()
  } finally {
    await client.destroy()
  }
}

describe('a guarded connector', () => {
  it('reaches a name that is allowed, whatever it resolves to', async () => {
    await using server = await serveHttp((_, answer) => answer.end('hello'))
    const policy = new AddressPolicy({ allow: [`app.internal:${server.port}`] })
    expect(await get(`http://app.internal:${server.port}/`, policy, answering(LOOPBACK))).toBe('hello')
  })

  it('reaches an address that is allowed, in each spelling and by any name', async () => {
    await using server = await serveHttp((_, answer) => answer.end('hello'))
    const policy = new AddressPolicy({ allow: [`127.0.0.1:${server.port}`] })
    for (const host of ['127.0.0.1', '127.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]']) {
      expect(await get(`http://${host}:${server.port}/`, policy), host).toBe('hello')
    }
    expect(await get(`http://any.example:${server.port}/`, policy, answering(LOOPBACK))).toBe('hello')
  })

  it('refuses a literal address without a lookup, and opens no connection', async () => {
    let requests = 0
    await using server = await serveHttp((_, answer) => {
      requests += 1
      answer.end()
    })
    for (const host of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f.1',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
    ]) {
      const call = get(`http://${host}:${server.port}/`, new AddressPolicy(), noLookup)
      await expect(call, host).rejects.toThrow(AddressRefusedError)
    }
    expect(requests).toBe(0)
  })

  it('refuses a denied name without a lookup', async () => {
    const call = get('http://evil.example/', new AddressPolicy({ deny: ['evil.example'] }), noLookup)
    await expect(call).rejects.toThrow(AddressRefusedError)
  })

  it('refuses a name where one of its addresses is not allowed, and does not say which', async () => {
    const lookup = answering({ address: '93.184.215.14', family: 4 }, { address: '10.11.12.13', family: 4 })
    const error = await get('http://mixed.example/', new AddressPolicy(), lookup).catch(
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({
      code: 'address_refused',
      message: 'The address may not be called',
      retryable: false,
    })
    expect(JSON.stringify(error)).not.toContain('10.11')
  })

  it('refuses localhost as the system resolves it', async () => {
    await using server = await serveHttp((_, answer) => answer.end())
    await expect(get(`http://localhost:${server.port}/`, new AddressPolicy())).rejects.toThrow(
      AddressRefusedError,
    )
  })

  it('refuses a name that resolves elsewhere the second time', async () => {
    await using server = await serveHttp((_, answer) => answer.end('hello'))
    await using dns = await serveDns({ 'rebind.example': [['127.0.0.1'], ['127.0.0.2']] })
    const policy = new AddressPolicy({ allow: ['127.0.0.1'] })
    const lookup = nameServerLookup([dns.address])
    const url = `http://rebind.example:${server.port}/`
    expect(await get(url, policy, lookup)).toBe('hello')
    await expect(get(url, policy, lookup)).rejects.toThrow(AddressRefusedError)
    expect(dns.questions.toSorted()).toEqual(
      ['A', 'A', 'AAAA', 'AAAA'].map((type) => `${type} rebind.example`),
    )
  })

  it('checks where the socket went, should a lookup have been talked round', async () => {
    let requests = 0
    await using server = await serveHttp((_, answer) => {
      requests += 1
      answer.end()
    })
    // Allows what it is asked first, which is the address that the lookup answers, and nothing after that.
    let asked = 0
    class Forgetful extends AddressPolicy {
      override allowsAddress(): boolean {
        asked += 1
        return asked === 1
      }
    }
    const call = get(`http://app.example:${server.port}/`, new Forgetful(), answering(LOOPBACK))
    await expect(call).rejects.toThrow(AddressRefusedError)
    expect({ asked, requests }).toEqual({ asked: 2, requests: 0 })
  })

  it('refuses another port than the one of its origin', async () => {
    const connect = guardedConnector(new URL('http://app.example:8080'), {
      policy: new AddressPolicy(),
      connectTimeoutMs: 5000,
      lookup: noLookup,
    })
    const target: buildConnector.Options = { hostname: 'app.example', protocol: 'http:', port: '8081' }
    const error = await new Promise((resolve) => connect(target, (...[reason]) => resolve(reason)))
    expect(error).toBeInstanceOf(AddressRefusedError)
  })

  it.each(['db', 'db.internal', 'printer.local', 'api.default.svc', 'nas.home.arpa.'])(
    'does not tell whether there is a %s on the local network',
    async (host) => {
      const policy = new AddressPolicy({ allow: ['10.0.0.0/8'] })
      const unknown: LookupFunction = (_hostname, _options, callback) =>
        callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), [])
      const ways = [
        get(`http://${host}/`, new AddressPolicy(), noLookup),
        get(`http://${host}/`, policy, unknown),
        get(`http://${host}/`, policy, answering()),
        get(`http://${host}/`, policy, answering(LOOPBACK)),
      ]
      for (const way of ways) {
        await expect(way).rejects.toMatchObject({
          code: 'address_refused',
          message: 'The address may not be called',
        })
      }
      const named = new AddressPolicy({ allow: [host.replace(/\.$/, '')] })
      await expect(get(`http://${host}/`, named, unknown)).rejects.toMatchObject({ code: 'ENOTFOUND' })
    },
  )

  it('fails as for an unknown host where a lookup answers nothing', async () => {
    await expect(get('http://empty.example/', new AddressPolicy(), answering())).rejects.toMatchObject({
      code: 'ENOTFOUND',
    })
  })

  it('checks certificates against the name, not the address', async () => {
    setDefaultCACertificates([...getCACertificates('default'), SELF_SIGNED.cert])
    await using server = await listen(createHttpsServer(SELF_SIGNED, (_, answer) => answer.end('secret')))
    const policy = new AddressPolicy({ allow: ['127.0.0.0/8'] })
    expect(await get(`https://localhost:${server.port}/`, policy, answering(LOOPBACK))).toBe('secret')
    await expect(
      get(`https://other.example:${server.port}/`, policy, answering(LOOPBACK)),
    ).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })
})
