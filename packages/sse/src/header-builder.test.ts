import { EXPOSED_HEADERS } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { HeaderError, sseHeaders } from './header-builder.ts'

describe('sseHeaders', () => {
  it('are pairs wherever fetch takes headers', () => {
    const { headers } = new Response(null, { headers: [...sseHeaders().custom('X-Own', 'a')] })
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(headers.get('x-own')).toBe('a')
  })

  it('are those of a stream that nobody on the way holds back', () => {
    expect(sseHeaders().build()).toEqual({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
  })

  it('let one origin read with its cookies, and any without', () => {
    expect(sseHeaders.withCors('https://app.example')).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': EXPOSED_HEADERS,
      vary: 'Origin',
    })
    const any = sseHeaders.withCors('*')
    expect(any['access-control-allow-origin']).toBe('*')
    expect(any['access-control-allow-credentials']).toBeUndefined()
    expect(EXPOSED_HEADERS).toMatch(/^Run-Id, Location, Retry-After, Idempotent-Replayed, RateLimit, /)
  })

  it('add security, the compression hint and one’s own, in any order', () => {
    const headers = sseHeaders().custom('X-Own', 'a b').compression().security().build()
    expect(headers).toMatchObject({
      'x-own': 'a b',
      'content-encoding': 'identity',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    })
    expect(new Response(null, { headers }).headers.get('x-own')).toBe('a b')
  })

  it('replace a header of the same name in other letters', () => {
    const headers = sseHeaders().custom('Cache-Control', 'no-store').build()
    expect(Object.entries(headers).filter(([name]) => name.toLowerCase() === 'cache-control')).toEqual([
      ['cache-control', 'no-store'],
    ])
  })

  it.each(['a\r\nset-cookie: x', 'a\nb', 'a\u0000', '→'])('refuse %j as a value', (value) => {
    expect(() => sseHeaders().custom('x-own', value)).toThrow(HeaderError)
    expect(() => sseHeaders.withCors(value)).toThrow(HeaderError)
  })

  it.each(['', 'a b', 'a:', 'a\r\nb', 'ä'])('refuse %j as a name', (name) => {
    expect(() => sseHeaders().custom(name, 'x')).toThrow(HeaderError)
  })

  it('do not change when their builder goes on', () => {
    const builder = sseHeaders()
    const built = builder.build()
    builder.custom('x-later', '1')
    expect(built).not.toHaveProperty('x-later')
  })
})
