import { describe, expect, it } from 'vitest'
import { AddressEntryError } from './address-entry.ts'
import { HostList } from './host-list.ts'

const list = new HostList([
  'api.example.com',
  '*.example.org',
  'plain.example:8080',
  '192.0.2.1:80',
  '[::1]:81',
])
const has = (url: string) => list.has(new URL(url))

describe('a list of hosts', () => {
  it.each([
    'https://api.example.com/a',
    'https://API.example.com./',
    'https://a.b.example.org/',
    'http://plain.example:8080/',
    'https://plain.example:8080/',
    'http://192.0.2.1/',
    'http://3221225985:80/',
    'http://[::1]:81/',
  ])('has %s', (url) => expect(has(url)).toBe(true))

  it.each([
    'http://api.example.com/',
    'http://api.example.com:443/',
    'https://api.example.com:8443/',
    'https://api.example.com.evil.example/',
    'https://xapi.example.com/',
    'https://example.org/',
    'https://evilexample.org/',
    'http://plain.example/',
    'http://192.0.2.1:81/',
    'http://192.0.2.2/',
    'http://127.0.0.1:81/',
  ])('has not %s', (url) => expect(has(url)).toBe(false))

  it('refuses an entry that is none', () => {
    expect(() => new HostList(['https://api.example.com'])).toThrow(AddressEntryError)
  })
})
