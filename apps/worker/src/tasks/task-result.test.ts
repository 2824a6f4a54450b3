import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { taskResult } from './task-result.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const answer = (body: Uint8Array, headers: Record<string, string>) => ({
  status: 200,
  headers,
  body,
  truncated: false,
})

describe('taskResult', () => {
  it('parses what says it is JSON, with or without a byte order mark', () => {
    for (const text of ['{"a":1}', '\ufeff{"a":1}']) {
      const result = taskResult(answer(bytes(text), { 'content-type': 'application/json' }), 100)
      expect(result).toMatchObject({ body: { a: 1 }, truncated: false })
    }
  })

  it('refuses what says it is JSON and is not', () => {
    const broken = answer(bytes('<html>'), { 'content-type': 'application/problem+json' })
    expect(() => taskResult(broken, 100)).toThrow(expect.objectContaining({ code: 'invalid_json' }))
  })

  it('cuts JSON to a string, and never in the middle of a character', () => {
    const result = taskResult(answer(bytes('"aé"'), { 'content-type': 'application/json' }), 3)
    expect(result).toMatchObject({ body: '"a', truncated: true })
  })

  it('hands on what is compressed as it came', () => {
    const body = gzipSync('{"a":1}')
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    expect(taskResult(answer(body, headers), 1_000)).toMatchObject({
      body: body.toString('base64'),
      encoding: 'base64',
      truncated: false,
    })
    expect(taskResult(answer(bytes('[]'), { ...headers, 'content-encoding': 'identity' }), 100).body).toEqual(
      [],
    )
  })

  it('gives text as text, and anything else as base64', () => {
    expect(taskResult(answer(bytes('hi'), { 'content-type': 'text/plain' }), 100)).toMatchObject({
      body: 'hi',
    })
    const image = taskResult(answer(new Uint8Array([0, 1, 2]), { 'content-type': 'image/png' }), 2)
    expect(image).toMatchObject({ body: 'AAE=', encoding: 'base64', truncated: true })
  })
})
