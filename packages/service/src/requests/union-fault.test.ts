import { HealthAction } from '@tributary/protocol'
import Type from 'typebox'
import { describe, expect, it } from 'vitest'
import { RequestValidator } from './request-validator.ts'
import { validationProblem } from './validation-problem.ts'

const ACTIONS = 'body/action must be one of "health_check", "consistency_check", "force_disconnect".'

/** What a sender of this body is told. */
function detailOf(schema: unknown, body: unknown): string | undefined {
  const check = new RequestValidator().compile({
    schema: Object(schema),
    method: 'POST',
    url: '/',
    httpPart: 'body',
  })
  if (check(body) === true) return undefined
  const error = Object.assign(new Error('not valid'), {
    validation: check.errors ?? [],
    validationContext: 'body',
  })
  return validationProblem(error).message
}

describe('a body of several forms, each with a name', () => {
  it.each([
    [{ action: 'health_check' }, undefined],
    [{ action: 'restart' }, ACTIONS],
    [{ action: 7 }, ACTIONS],
    [{ action: 'force_disconnect' }, 'body/connectionId is required.'],
    [{ action: 'force_disconnect', connectionId: 5 }, 'body/connectionId must be a string.'],
    [{}, 'body/action is required.'],
    [[], 'body must be an object.'],
  ])('is judged by the form that it names: %j', (body, detail) => {
    expect(detailOf(HealthAction, body)).toBe(detail)
  })

  it('is told of the form that it looks most like, where they have no names', () => {
    const forms = Type.Union([Type.Object({ a: Type.Integer() }), Type.Object({ b: Type.Integer() })])
    expect(detailOf(forms, { b: 'x' })).toBe('body/b must be a whole number.')
  })
})
