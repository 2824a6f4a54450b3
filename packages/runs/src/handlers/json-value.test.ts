import { describe, expect, it } from 'vitest'
import { assertJson, MAX_RESULT_DEPTH } from './json-value.ts'

describe('assertJson', () => {
  it.each([null, 1, '', true, [], {}, { a: [{ b: undefined, c: 'x' }] }, Object.create(null)])(
    'takes %j',
    (value) => {
      expect(() => assertJson(value)).not.toThrow()
    },
  )

  it.each([
    [{ a: { b: [1, 2n] } }, 'result.a.b[1] is a bigint'],
    [{ when: new Date(0) }, 'result.when is of class Date'],
    [new Map(), 'result is of class Map'],
    [{ bytes: new Uint8Array(1) }, 'result.bytes is of class Uint8Array'],
    [[Number.NaN], 'result[0] is NaN'],
    [{ f: () => 1 }, 'result.f is a function'],
    [Symbol('x'), 'result is a symbol'],
    [[undefined], 'result[0] is undefined'],
    [undefined, 'result is undefined'],
  ])('names where and what is not JSON: %o', (value, message) => {
    expect(() => assertJson(value)).toThrow(message)
  })

  it('refuses what holds itself', () => {
    const circle: Record<string, unknown> = {}
    circle.again = { circle }
    expect(() => assertJson(circle)).toThrow(`nested deeper than ${MAX_RESULT_DEPTH}, or holds itself`)
  })
})
