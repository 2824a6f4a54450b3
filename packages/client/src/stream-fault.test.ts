import { ERROR_CODES, type ErrorCode, ProblemError } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { faultOfProblem, faultOfStatus } from './stream-fault.ts'

describe('the fault of a problem', () => {
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])('is as %s says', (code) => {
    const { category, recovery } = ERROR_CODES[code]
    const body = JSON.stringify(new ProblemError(code, 'What is wrong.').toProblem())
    expect(faultOfProblem(body)).toEqual({ category, recovery })
  })

  it.each([
    '',
    'null',
    '[]',
    '{"category":"server"}',
    '{"category":"new","recovery":"none"}',
    '{"category":',
  ])('is unknown for %j', (body) => {
    expect(faultOfProblem(body)).toBeUndefined()
  })
})

it.each([
  [400, false, 'validation', 'none'],
  [401, false, 'authentication', 'reauthenticate'],
  [403, false, 'authentication', 'none'],
  [404, false, 'client', 'none'],
  [408, true, 'timeout', 'retry'],
  [429, true, 'rate_limit', 'retry'],
  [503, true, 'server', 'retry'],
  [504, true, 'timeout', 'retry'],
])('of a %i without a problem tells what the status says', (status, retryable, category, recovery) => {
  expect(faultOfStatus(status, retryable)).toEqual({ category, recovery })
})
