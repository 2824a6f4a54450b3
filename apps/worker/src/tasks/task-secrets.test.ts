import { describe, expect, it } from 'vitest'
import { TaskSecrets } from './task-secrets.ts'

const secrets = (file: unknown) => TaskSecrets.parse(JSON.stringify(file))
const API_KEY = { value: 'the key', hosts: ['api.example.com', '*.example.org', 'plain.example:8080'] }

describe('the secrets of tasks', () => {
  it.each([
    ['https://api.example.com/a', 'the key'],
    ['https://a.example.org/', 'the key'],
    ['http://plain.example:8080/', 'the key'],
  ])('go to %s', (url, value) => {
    expect(secrets({ API_KEY }).valueFor('API_KEY', new URL(url))).toBe(value)
  })

  it.each([
    ['API_KEY', 'http://api.example.com/'],
    ['API_KEY', 'https://api.example.com:8443/'],
    ['API_KEY', 'https://api.example.com.evil.example/'],
    ['api_key', 'https://api.example.com/'],
    ['constructor', 'https://api.example.com/'],
    ['__proto__', 'https://api.example.com/'],
  ])('do not go by the name %s to %s, and the refusal does not say why', (name, url) => {
    const message = `The secret ${JSON.stringify(name)} is not known here, or not meant for this address`
    expect(() => secrets({ API_KEY }).valueFor(name, new URL(url))).toThrow(
      expect.objectContaining({ code: 'secret_refused', retryable: false, message }),
    )
  })

  it.each([
    ['no JSON', '{"API_KEY": {"value": "the key"'],
    ['no object', '["the key"]'],
    ['a name with a space', JSON.stringify({ 'a name': API_KEY })],
    ['no hosts', JSON.stringify({ API_KEY: { value: 'the key', hosts: [] } })],
    ['a host that is none', JSON.stringify({ API_KEY: { ...API_KEY, hosts: ['https://x/'] } })],
    ['a value that is no text', JSON.stringify({ API_KEY: { ...API_KEY, value: { the: 'the key' } } })],
    ['something besides', JSON.stringify({ API_KEY: { ...API_KEY, url: 'the key' } })],
  ])('are refused from a file with %s, without showing a value', (_what, text) => {
    expect(() => TaskSecrets.parse(text)).toThrow(TypeError)
    expect(() => TaskSecrets.parse(text)).not.toThrow('the key')
  })
})
