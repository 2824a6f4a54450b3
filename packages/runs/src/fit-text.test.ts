import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fitMessage, fitText } from './fit-text.ts'

const jsonBytes = (text: string) => Buffer.byteLength(JSON.stringify(text))
/** Strings with pairs, halves of pairs, escapes and plain letters. */
const text = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 1 }),
    fc.constantFrom('\ud83d', '\udd8a', '"', '\\', '\n', '\u0001', 'é', '🦊', 'a'),
  ),
})

describe('fitText', () => {
  it('is the longest beginning that fits, and never ends in the middle of a character', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 60 }), (whole, maxBytes) => {
        const fitted = fitText(whole, maxBytes)
        expect(whole.startsWith(fitted)).toBe(true)
        expect(jsonBytes(fitted)).toBeLessThanOrEqual(maxBytes)
        if (fitted === whole) return
        const next = String.fromCodePoint(whole.codePointAt(fitted.length) ?? 0)
        expect(jsonBytes(fitted + next)).toBeGreaterThan(maxBytes)
        expect([...whole].slice(0, [...fitted].length).join('')).toBe(fitted)
      }),
    )
  })

  it('shows where a message is cut', () => {
    expect(fitMessage('short', 20)).toBe('short')
    expect(fitMessage('🦊🦊🦊🦊', 14)).toBe('🦊🦊…')
    fc.assert(
      fc.property(text, fc.integer({ min: 5, max: 60 }), (whole, maxBytes) => {
        const fitted = fitMessage(whole, maxBytes)
        expect(jsonBytes(fitted)).toBeLessThanOrEqual(maxBytes)
        if (jsonBytes(whole) <= maxBytes) expect(fitted).toBe(whole)
      }),
    )
  })
})
