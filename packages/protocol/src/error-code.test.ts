import { Check } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, type ErrorCode, faultOf, isTaskErrorCode, TASK_ERROR_CODES } from './error-code.ts'
import { Problem, ProblemError } from './problem.ts'
import { TaskErrorCodeSchema } from './task.ts'

const codes = Object.keys(ERROR_CODES) as ErrorCode[]

describe.each(codes)('the error %s', (code) => {
  const { status, title, category, recovery, retryable } = ERROR_CODES[code]

  it('has a status of an error, and a title that is a sentence', () => {
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
    expect(title).toMatch(/^[A-Z].+\.$/)
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
  })

  it('is retryable only where the same request may succeed', () => {
    expect(retryable).toBe(status >= 500 || status === 408 || status === 429)
  })

  it('says what helps, in keeping with its status', () => {
    if (status === 401) expect([category, recovery]).toEqual(['authentication', 'reauthenticate'])
    if (status === 429) expect(category).toBe('rate_limit')
    expect(recovery === 'retry' || recovery === 'fallback_polling').toBe(retryable)
    expect(['validation', 'client'].includes(category) && retryable).toBe(false)
  })

  it('is answered as a problem that its schema takes', () => {
    const errors = [{ path: 'body/tasks/0', message: 'is missing' }]
    const cause = new Error('why')
    const error = new ProblemError(code, 'What is wrong.', {
      errors,
      cause,
      retryAfterS: 3,
      headers: { allow: 'GET' },
    })
    const problem: unknown = JSON.parse(JSON.stringify(error.toProblem()))
    expect(Check(Problem, problem)).toBe(true)
    expect(problem).toEqual({
      type: `urn:tributary:problem:${code}`,
      title,
      status,
      detail: 'What is wrong.',
      code,
      category,
      recovery,
      retryable,
      errors,
    })
    expect(error).toMatchObject({
      statusCode: status,
      code,
      category,
      recovery,
      retryable,
      cause,
      retryAfterS: 3,
      headers: { allow: 'GET' },
    })
    expect(Object.hasOwn(new ProblemError(code, 'x').toProblem(), 'errors')).toBe(false)
  })
})

describe('the fault of a code', () => {
  const rules = { ...ERROR_CODES, ...TASK_ERROR_CODES }

  it.each(Object.entries(rules))('of %s is what its table says', (code, { category, recovery }) => {
    expect(faultOf(code)).toEqual({ category, recovery })
  })

  it.each(['', 'toString', 'newer_than_this'])('that is not known (%j) is the service’s', (code) => {
    expect(faultOf(code)).toEqual({ category: 'server', recovery: 'none' })
  })
})

describe('the codes of tasks', () => {
  it('are told from all else', () => {
    for (const code of Object.keys(TASK_ERROR_CODES)) {
      expect(isTaskErrorCode(code)).toBe(true)
      expect(Check(TaskErrorCodeSchema, code)).toBe(true)
    }
    for (const other of ['', 'toString', 'constructor', 'not_found', undefined, 5, null]) {
      expect(isTaskErrorCode(other)).toBe(false)
      expect(Check(TaskErrorCodeSchema, other)).toBe(false)
    }
  })
})
