import * as protocol from '@tributary/protocol'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { RequestValidator } from './request-validator.ts'

// Schemas are the objects with a capital; constants shout, functions and classes are no objects.
const schemas = Object.entries(protocol).filter(
  ([name, value]) => /^[A-Z][a-z]/.test(name) && typeof value === 'object',
)
const of = (schema: unknown, httpPart: string) =>
  new RequestValidator().compile({ schema: Object(schema), method: 'POST', url: '/', httpPart })

describe('RequestValidator', () => {
  test.each(schemas)("takes the protocol's %s", (_name, schema) => {
    expect(of(schema, 'body')).toBeTypeOf('function')
    expect(of(schema, 'querystring')).toBeTypeOf('function')
  })

  test('leaves a body as it came', () => {
    const check = of(
      Type.Object({ n: Type.Integer({ default: 3 }), s: Type.Optional(Type.String()) }),
      'body',
    )
    const body = { other: 1 }
    expect(check(body)).toBe(true)
    expect(body).toEqual({ other: 1, n: 3 })
    expect(check({ n: '1' })).toBe(false)
    expect(check({ n: 1, s: 1 })).toBe(false)
  })

  test('reads numbers and booleans out of a query', () => {
    const query = { n: '12', b: 'false' }
    expect(of(Type.Object({ n: Type.Integer(), b: Type.Boolean() }), 'querystring')(query)).toBe(true)
    expect(query).toEqual({ n: 12, b: false })
  })
})
