import { request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { isHeaderName, isHeaderValue } from './http-header.ts'

describe('HTTP headers', () => {
  it.each(['x-a', 'X_A', 'a.b', "!#$%&'*+-.^_`|~09"])('have a name like %j', (name) => {
    expect(isHeaderName(name)).toBe(true)
  })

  it.each(['', 'a b', 'a:b', 'a\r\nb', 'ä', 'a\u0000'])('have no name like %j', (name) => {
    expect(isHeaderName(name)).toBe(false)
  })

  it.each(['', 'text/html; q=1', 'a\tb', 'caf\u00e9'])('hold a value like %j', (value) => {
    expect(isHeaderValue(value)).toBe(true)
  })

  it.each(['a\r\nb: c', 'a\nb', 'a\u0000', 'a\u007f', '\u0007', '→'])('hold no value like %j', (value) => {
    expect(isHeaderValue(value)).toBe(false)
  })

  it('are judged as Node judges them', () => {
    const refuses = (name: string, value: string) => {
      try {
        request('http://127.0.0.1:1', {
          headers: { [name]: value },
          createConnection: () => undefined,
        }).destroy()
        return false
      } catch {
        return true
      }
    }
    for (let code = 0; code < 300; code++) {
      const text = `a${String.fromCharCode(code)}b`
      expect([code, isHeaderValue(text)]).toEqual([code, !refuses('x', text)])
      expect([code, isHeaderName(text)]).toEqual([code, !refuses(text, 'x')])
    }
  })
})
