import { expect, it } from 'vitest'
import { sourceName } from './source-name.ts'

it.each([
  ['/api/sse/sample-parallel', '/api/sse/sample-parallel'],
  ['https://a.example/s?q=1&lastEventId=2', 'https://a.example/s?q=1&lastEventId=2'],
  ['https://a.example/s?token=x&q=1', 'https://a.example/s?token=[redacted]&q=1'],
  ['/s?q=1&%74OKEN=x=y&access_token=x', '/s?q=1&%74OKEN=[redacted]&access_token=[redacted]'],
  ['/s?api_key=x?token=y&tokens=kept&%zz=kept', '/s?api_key=[redacted]&tokens=kept&%zz=kept'],
])('calls %s %s', (endpoint, name) => {
  expect(sourceName(endpoint)).toBe(name)
})
