import { sensitiveHeaders, type TaskSpec } from '@tributary/protocol'
import { expect, it } from 'vitest'
import { withholdCredentials } from './withhold-credentials.ts'

const URL = 'https://api.example.com/'

it('withholds the literal values of sensitive headers, whatever their case, and nothing else', () => {
  const tasks: TaskSpec[] = [
    'handler',
    { name: 'handler', input: { authorization: 'kept' } },
    { url: URL },
    {
      url: URL,
      headers: {
        AUTHORIZATION: 'Bearer x',
        'x-own': 'x',
        cookie: { $secret: 'COOKIE' },
        accept: 'text/plain',
      },
    },
  ]
  expect(withholdCredentials(tasks, sensitiveHeaders(['X-Own']))).toEqual([
    ...tasks.slice(0, 3),
    {
      url: URL,
      headers: {
        AUTHORIZATION: { $withheld: true },
        'x-own': { $withheld: true },
        cookie: { $secret: 'COOKIE' },
        accept: 'text/plain',
      },
    },
  ])
})
