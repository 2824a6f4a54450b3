import { describe, expect, it } from 'vitest'
import { StreamAnswer } from './stream-answer.ts'

const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

function read(...parts: readonly string[]): { statuses: number[]; body: string; ends: number } {
  const statuses: number[] = []
  let body = ''
  let ends = 0
  const answer = new StreamAnswer({
    onStatus: (status) => statuses.push(status),
    onBody: (bytes) => {
      body += Buffer.from(bytes).toString()
    },
    onEnd: () => {
      ends += 1
    },
  })
  for (const part of parts) answer.feed(Buffer.from(part))
  return { statuses, body, ends }
}

describe('a stream answer', () => {
  const text = `${HEAD}3\r\nabc\r\na\r\nde\r\nfg\r\nhi\r\n0\r\n\r\n`

  it('is taken apart whole', () => {
    expect(read(text)).toEqual({ statuses: [200], body: 'abcde\r\nfg\r\nhi', ends: 1 })
  })

  it('is the same wherever it is cut', () => {
    const whole = read(text)
    for (let at = 1; at < text.length; at++) expect(read(text.slice(0, at), text.slice(at))).toEqual(whole)
    expect(read(...text)).toEqual(whole)
  })

  it('gives what has come of a chunk before the rest of it', () => {
    expect(read(`${HEAD}5\r\nab`)).toEqual({ statuses: [200], body: 'ab', ends: 0 })
  })

  it('tells a refusal by its status alone', () => {
    expect(read('HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno')).toEqual({
      statuses: [503],
      body: '',
      ends: 0,
    })
  })

  it('refuses what is no such answer', () => {
    expect(() => read('SSH-2.0\r\n\r\n')).toThrow('not an answer')
    expect(() => read('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno')).toThrow('not chunked')
    expect(() => read(`${HEAD}xyz\r\n`)).toThrow('not the size of a chunk')
  })
})
