import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fitResult } from './fit-result.ts'

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value))

const headers = fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ maxLength: 20 }), { maxKeys: 4 })
const base64 = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString('base64'))
const status = fc.integer({ min: 100, max: 599 })
const truncated = fc.boolean()
const result = fc.oneof(
  fc.record({ status, headers, body: fc.jsonValue(), truncated }),
  fc.record({ status, headers, body: fc.string({ unit: 'binary', maxLength: 400 }), truncated }),
  fc.record({ status, headers, body: base64, encoding: fc.constant('base64' as const), truncated }),
)
/** Nothing is smaller than a result without headers and body. */
const LEAST_BYTES = 64

describe('fitResult', () => {
  it('never has more bytes than allowed, and says so where it was cut', () => {
    fc.assert(
      fc.property(result, fc.integer({ min: LEAST_BYTES, max: 700 }), (whole, maxBytes) => {
        const { result: fitted, json } = fitResult(whole, maxBytes)
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(fitted)))
        expect(Buffer.byteLength(json)).toBeLessThanOrEqual(maxBytes)
        expect(fitted.status).toBe(whole.status)
        if (bytesOf(whole) <= maxBytes) expect(fitted).toBe(whole)
        else expect(fitted.truncated).toBe(true)
      }),
    )
  })

  it('leaves base64 decodable, to the beginning of what it was', () => {
    fc.assert(
      fc.property(base64, fc.integer({ min: LEAST_BYTES, max: 500 }), (body, maxBytes) => {
        const whole = { status: 200, headers: {}, body, encoding: 'base64' as const, truncated: false }
        const { body: fitted } = fitResult(whole, maxBytes).result
        if (fitted === null) return
        if (typeof fitted !== 'string') throw new TypeError('base64 is a string')
        expect(fitted.length % 4).toBe(0)
        const bytes = Buffer.from(fitted, 'base64')
        expect(bytes.toString('base64')).toBe(fitted)
        expect(Buffer.from(body, 'base64').subarray(0, bytes.length)).toEqual(bytes)
      }),
    )
  })

  it('cuts text to the last character that fits, never through a pair of surrogates', () => {
    const body = '🦊'.repeat(100)
    const empty = bytesOf({ status: 200, headers: {}, body: '', truncated: true })
    for (let room = 0; room < 20; room++) {
      const { result: fitted } = fitResult({ status: 200, headers: {}, body, truncated: false }, empty + room)
      expect(fitted.body).toBe('🦊'.repeat(Math.floor(room / 4)))
    }
  })

  it('turns JSON that is cut into text', () => {
    const whole = { status: 200, headers: {}, body: { list: Array(100).fill('x') }, truncated: false }
    const { body } = fitResult(whole, 100).result
    expect(body).toMatch(/^\{"list":\["x","x"/)
  })

  it('leaves out headers that are too large on their own, and keeps the body', () => {
    const whole = { status: 200, headers: { long: 'x'.repeat(500) }, body: 'kept', truncated: false }
    expect(fitResult(whole, 200).result).toEqual({ status: 200, headers: {}, body: 'kept', truncated: true })
  })

  it('takes a body that is not there', () => {
    const whole = { status: 204, headers: { long: 'x'.repeat(500) }, body: undefined, truncated: false }
    expect(fitResult(whole, 200).result).toMatchObject({ status: 204, headers: {}, body: '' })
  })
})
