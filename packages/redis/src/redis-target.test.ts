import { describe, expect, test } from 'vitest'
import { describeTarget, namesIn, parseRedisUrl } from './redis-target.ts'

const at = (host: string, port: number) => ({ host, port })

describe('parseRedisUrl', () => {
  test.each([
    ['redis://localhost', { kind: 'single', hasTls: false, address: at('localhost', 6379), db: 0 }],
    ['redis://[::1]:7000/3', { kind: 'single', hasTls: false, address: at('::1', 7000), db: 3 }],
    [
      'rediss://app:p%40ss%2F:word@redis.example:6380/0',
      {
        kind: 'single',
        hasTls: true,
        user: 'app',
        password: 'p@ss/:word',
        address: at('redis.example', 6380),
        db: 0,
      },
    ],
    [
      'redis://:secret@a:1',
      { kind: 'single', hasTls: false, password: 'secret', address: at('a', 1), db: 0 },
    ],
    [
      'redis+sentinel://u:p@a:1,b/main/2?sentinelUser=s&sentinelPassword=q%26',
      {
        kind: 'sentinel',
        hasTls: false,
        user: 'u',
        password: 'p',
        sentinels: [at('a', 1), at('b', 26_379)],
        masterName: 'main',
        db: 2,
        sentinelLogin: { user: 's', password: 'q&' },
      },
    ],
    ['rediss+cluster://a:1,b:2/', { kind: 'cluster', hasTls: true, nodes: [at('a', 1), at('b', 2)] }],
  ])('reads %s', (url, target) => {
    expect(parseRedisUrl(url)).toEqual(target)
  })

  test.each([
    ['http://a', /^must be redis:/],
    ['redis://', /^must be redis:/],
    ['redis://a:1,b:2', /^must be redis:/],
    ['redis://a:99999', /"a:99999" is not host:port/],
    ['redis://a/x', /database must be a whole number/],
    ['redis://word@a', /user:password@/],
    ['redis://:top%secret@a', /%25/],
    ['redis+sentinel://a:1', /name the master/],
    ['redis+cluster://a:1/1', /one database/],
    ['redis://a?tls=true', /no parameter "tls"/],
    ['redis://:secret/word@a:1', /%2F/],
    ['redis+sentinel://:secret/word@a:1/main', /%2F/],
  ])('says what is wrong with %s, without its password', (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(message)
    expect(() => parseRedisUrl(url)).not.toThrow(/secret/)
  })
})

test('describeTarget names the place, and neither user nor password', () => {
  const urls = ['redis://u:p@a:1', 'redis+sentinel://u:p@a:1,[::1]:2/main', 'redis+cluster://:p@a:1']
  expect(urls.map((url) => describeTarget(parseRedisUrl(url)))).toEqual([
    'a:1',
    'main by the Sentinels at a:1, [::1]:2',
    'the Cluster at a:1',
  ])
})

test.each([
  ['redis://a', 'p'],
  ['redis://a/3', 'p:@3'],
  ['redis+sentinel://a/main/2', 'p:@2'],
  ['redis+cluster://a', 'p'],
])('names what is in %s by its database, where that is not the first', (url, prefix) => {
  expect(namesIn(parseRedisUrl(url), 'p')).toBe(prefix)
})
