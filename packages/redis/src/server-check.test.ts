import { expect, test } from 'vitest'
import { noticesOfServer, parseInfo, refusalOfServer } from './server-check.ts'

const info = (lines: string[]) => parseInfo(['# Server', ...lines, ''].join('\r\n'))

test.each([
  ['7.0.15', undefined],
  ['8.2.0', undefined],
  ['6.2.14', /Redis 7 or newer is needed, and this one says 6\.2\.14/],
  ['', /says no version/],
])('a server that says version %s is taken or refused', (version, refusal) => {
  const answer = refusalOfServer(info([`redis_version:${version}`]))
  if (refusal === undefined) expect(answer).toBeUndefined()
  else expect(answer).toMatch(refusal)
})

test.each([
  [['maxmemory:1', 'maxmemory_policy:noeviction', 'aof_enabled:1'], '', []],
  [['maxmemory:1', 'maxmemory_policy:allkeys-lru', 'aof_enabled:1'], '', [/noeviction/]],
  [['maxmemory:0', 'maxmemory_policy:noeviction', 'aof_enabled:1'], '', [/set maxmemory/]],
  [['maxmemory:1', 'maxmemory_policy:noeviction', 'aof_enabled:0'], '', [/loses all/]],
  [['maxmemory:1', 'maxmemory_policy:noeviction', 'aof_enabled:0'], '3600 1', [/now and then/]],
  [['maxmemory:1', 'maxmemory_policy:noeviction', 'aof_enabled:0'], undefined, [/now and then/]],
])('a server with %j is told of as it deserves', (lines, save, expected) => {
  const messages = noticesOfServer(info(lines), save).map(({ message }) => message)
  expect(messages).toEqual(expected.map((pattern) => expect.stringMatching(pattern)))
})
