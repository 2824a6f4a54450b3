import { describe, expect, it } from 'vitest'
import { encodeFrame, FrameError } from './sse-encoder.ts'

describe('encodeFrame', () => {
  it('writes comment, retry, id, event and data, and ends in a blank line', () => {
    expect(encodeFrame({ data: '{"a":1}', event: 'tick', id: '1-1', retryMs: 3000, comment: 'hi' })).toBe(
      ': hi\nretry: 3000\nid: 1-1\nevent: tick\ndata: {"a":1}\n\n',
    )
  })

  it.each(['\r', '\n', '\r\n', '\u0000'])('refuses %j in an id and a type', (bad) => {
    for (const text of [bad, `a${bad}b`, `a${bad}`, `${bad}data: forged`]) {
      expect(() => encodeFrame({ id: text })).toThrow(FrameError)
      expect(() => encodeFrame({ event: text })).toThrow(FrameError)
    }
  })

  it('splits data over lines at every line break, so that none can forge a field', () => {
    expect(encodeFrame({ data: 'a\nb\r\nc\rd\n\nid: 9' })).toBe(
      'data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: id: 9\n\n',
    )
    expect(encodeFrame({ data: '\n' })).toBe('data: \ndata: \n\n')
    expect(encodeFrame({ data: '' })).toBe('data: \n\n')
  })

  it('splits a comment the same way', () => {
    expect(encodeFrame({ comment: 'a\r\ndata: b\rc' })).toBe(': a\n: data: b\n: c\n\n')
    expect(encodeFrame({ comment: '' })).toBe(': \n\n')
  })

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1e21])('refuses a retry of %d', (retryMs) => {
    expect(() => encodeFrame({ retryMs })).toThrow(FrameError)
  })

  it('takes a retry of 0', () => {
    expect(encodeFrame({ retryMs: 0 })).toBe('retry: 0\n\n')
  })

  it('says what is wrong by code', () => {
    const caught = (() => {
      try {
        return encodeFrame({ id: '\n' })
      } catch (error) {
        return error
      }
    })()
    expect(caught).toMatchObject({ name: 'FrameError', code: 'invalid_frame', retryable: false })
  })
})
