import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { serveDns } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { nameServerLookup } from './name-server-lookup.ts'

const all = (lookup: LookupFunction, hostname: string) =>
  new Promise<LookupAddress[] | string>((resolve, reject) => {
    lookup(hostname, { all: true }, (error, found) => (error === null ? resolve(found) : reject(error)))
  })

describe('a lookup by name servers', () => {
  it('asks them each time, and keeps nothing', async () => {
    await using dns = await serveDns({ 'a.example': [['192.0.2.1'], ['192.0.2.2', '2001:db8::1']] })
    const lookup = nameServerLookup([dns.address])
    expect(await all(lookup, 'a.example')).toEqual([{ address: '192.0.2.1', family: 4 }])
    expect(await all(lookup, 'A.example')).toEqual([
      { address: '192.0.2.2', family: 4 },
      { address: '2001:db8::1', family: 6 },
    ])
  })

  it('answers one address where one is asked for', async () => {
    await using dns = await serveDns({ 'a.example': [['192.0.2.1']] })
    const one = await new Promise((resolve) => {
      nameServerLookup([dns.address])('a.example', {}, (...answer) => resolve(answer))
    })
    expect(one).toEqual([null, '192.0.2.1', 4])
  })

  it('fails on a name that is not there', async () => {
    await using dns = await serveDns({})
    const failing = all(nameServerLookup([dns.address]), 'nowhere.example')
    await expect(failing).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })

  it('answers localhost itself', async () => {
    await using dns = await serveDns({ 'a.example': [['192.0.2.1']] })
    const found = await all(nameServerLookup([dns.address]), 'api.localhost')
    expect(found).toEqual([
      { address: '127.0.0.1', family: 4 },
      { address: '::1', family: 6 },
    ])
    expect(dns.questions).toEqual([])
  })

  it('refuses a server that is none', () => {
    expect(() => nameServerLookup(['dns.example'])).toThrow()
  })
})
