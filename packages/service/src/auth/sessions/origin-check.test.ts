import { describe, expect, test } from 'vitest'
import { OriginCheck, type SentRequest } from './origin-check.ts'

const HOST = 'app.example'
const check = new OriginCheck(['https://pages.example', 'http://localhost:5173'])

type Does = Parameters<OriginCheck['check']>[1]

/** Whether it is let on: as what changes something, and as what does not. */
function letsOn(headers: SentRequest['headers'], socket?: object): [changing: boolean, reading: boolean] {
  return [letsOnTo('changes', headers, socket), letsOnTo('reads', headers, socket)]
}

function letsOnTo(does: Does, headers: SentRequest['headers'], socket?: object): boolean {
  try {
    check.check({ headers: { host: HOST, ...headers }, ...(socket === undefined ? {} : { socket }) }, does)
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'cross_site_refused', statusCode: 403 })
    return false
  }
}

describe('a request with a session', () => {
  test.each<[string, SentRequest['headers']]>([
    ['its own page', { origin: 'https://app.example' }],
    ['its own page without TLS', { origin: 'http://app.example' }],
    ['its own page, by a port', { origin: 'http://app.example:8090', host: 'app.example:8090' }],
    ['its own page, by the usual port', { origin: 'https://app.example', host: 'app.example:443' }],
    ['its own page, in other letters', { origin: 'https://app.example', host: 'App.Example' }],
    ['an allowed page', { origin: 'https://pages.example' }],
    [
      'an allowed page, whatever the rest says',
      { origin: 'https://pages.example', 'sec-fetch-site': 'cross-site' },
    ],
    ['a page of the same origin, as the browser says', { 'sec-fetch-site': 'same-origin' }],
    ['its own page, by its address', { referer: 'https://app.example/somewhere?a=b' }],
    ['an allowed page, by its address', { referer: 'http://localhost:5173/' }],
  ])('is let on from %s', (_name, headers) => {
    expect(letsOn(headers)).toEqual([true, true])
  })

  test.each<[string, SentRequest['headers']]>([
    ['another page', { origin: 'https://evil.example' }],
    [
      'another page, whatever the rest says',
      { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
    ],
    [
      'another page with the address of its own',
      { origin: 'https://evil.example', referer: 'https://app.example/' },
    ],
    ['a sandboxed page', { origin: 'null' }],
    ['a page of a subdomain', { origin: 'https://evil.app.example' }],
    ['a page whose name begins so', { origin: 'https://app.example.evil.example' }],
    ['a page with the name as its user', { origin: 'https://app.example@evil.example' }],
    ['a page of another port', { origin: 'https://app.example:8443' }],
    ['a page of the allowed host, by another scheme', { origin: 'http://pages.example' }],
    ['a file', { origin: 'file://' }],
    ['an extension', { origin: 'chrome-extension://app.example' }],
    ['two origins', { origin: 'https://app.example, https://evil.example' }],
    ['an origin with a path', { origin: 'https://app.example/' }],
    ['nothing', { origin: '' }],
    ['its own page, without a Host', { origin: 'https://app.example', host: undefined }],
    ['a page behind TLS that came without', { origin: 'http://app.example', 'x-forwarded-proto': 'https' }],
  ])('is refused from %s', (_name, headers) => {
    expect(letsOn(headers)).toEqual([false, false])
  })

  test.each<[string, SentRequest['headers']]>([
    ['that says nothing', {}],
    ['of another site, as the browser says', { 'sec-fetch-site': 'cross-site' }],
    ['of a neighbour, as the browser says', { 'sec-fetch-site': 'same-site' }],
    ['of no page, as a link in a mail', { 'sec-fetch-site': 'none' }],
    [
      'of a neighbour with an address of its own',
      { 'sec-fetch-site': 'same-site', referer: 'https://app.example/' },
    ],
    ['of another page, by its address', { referer: 'https://evil.example/https://app.example/' }],
    ['of what is no address', { referer: 'app.example' }],
  ])('%s may read, and change nothing', (_name, headers) => {
    expect(letsOn(headers)).toEqual([false, true])
  })

  test.each<[string, SentRequest['headers'], boolean]>([
    ['who does not say', {}, true],
    ['who typed the address', { 'sec-fetch-site': 'none' }, true],
    ['a page of the same origin', { 'sec-fetch-site': 'same-origin' }, true],
    ['another site, as by an image', { 'sec-fetch-site': 'cross-site' }, false],
    ['a neighbour, as by an image', { 'sec-fetch-site': 'same-site' }, false],
    ['another page', { origin: 'https://evil.example' }, false],
  ])('that opens a stream, from %s', (_name, headers, isLetOn) => {
    expect(letsOnTo('opens', headers)).toBe(isLetOn)
  })

  test('over TLS is refused from its own page without', () => {
    expect(letsOn({ origin: 'http://app.example' }, { encrypted: true })).toEqual([false, false])
    expect(letsOn({ origin: 'https://app.example' }, { encrypted: true })).toEqual([true, true])
  })
})
