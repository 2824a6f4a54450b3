import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Type from 'typebox'
import { describe, expect, onTestFinished, test } from 'vitest'
import { describeConfig, readConfig, withEnvFile } from './config.ts'
import { ConfigError } from './config-error.ts'

const WORKER_URLS_DEFAULT = ['http://127.0.0.1:8080']

const Schema = Type.Object({
  GATEWAY_PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 8090 }),
  RATIO: Type.Number({ minimum: 0, default: 0.5 }),
  VERBOSE: Type.Boolean({ default: false }),
  STORE: Type.Enum(['sqlite', 'memory'], { default: 'sqlite' }),
  WORKER_URLS: Type.Array(Type.String({ format: 'uri' }), {
    minItems: 1,
    default: ['http://127.0.0.1:8080'],
  }),
  REDIS_URL: Type.Optional(Type.String({ format: 'uri' })),
  ORIGINS: Type.Optional(Type.Array(Type.String({ format: 'origin' }))),
  SECRET: Type.String({ minLength: 8, default: 'a-secret-word' }),
})

function faultsOf(env: Record<string, string>, schema = Schema): readonly string[] {
  try {
    readConfig(schema, env, { secretNames: ['SECRET'] })
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('readConfig', () => {
  test('has the defaults where nothing is set, and takes an empty variable for none', () => {
    expect(readConfig(Schema, { GATEWAY_PORT: '', STORE: ' ' })).toEqual({
      GATEWAY_PORT: 8090,
      RATIO: 0.5,
      VERBOSE: false,
      STORE: 'sqlite',
      WORKER_URLS: ['http://127.0.0.1:8080'],
      SECRET: 'a-secret-word',
    })
  })

  test('turns text into what the schema asks for, and freezes it', () => {
    const env = {
      GATEWAY_PORT: ' 1 ',
      RATIO: '2.5',
      VERBOSE: 'TRUE',
      STORE: 'memory',
      WORKER_URLS: 'http://a, http://b,',
    }
    const config = readConfig(Schema, env)
    expect(config).toMatchObject({
      GATEWAY_PORT: 1,
      RATIO: 2.5,
      VERBOSE: true,
      STORE: 'memory',
      WORKER_URLS: ['http://a', 'http://b'],
    })
    expect([Object.isFrozen(config), Object.isFrozen(config.WORKER_URLS)]).toEqual([true, true])
    const port: number = config.GATEWAY_PORT
    expect(port).toBe(1)
  })

  test('leaves the default of the schema as it is', () => {
    expect(Object.isFrozen(readConfig(Schema, {}).WORKER_URLS)).toBe(true)
    expect(Object.isFrozen(WORKER_URLS_DEFAULT)).toBe(false)
  })

  test.each([
    ['GATEWAY_PORT', 'abc', 'GATEWAY_PORT must be a whole number from 0 to 65535, not "abc"'],
    ['GATEWAY_PORT', '65536', 'GATEWAY_PORT must be a whole number from 0 to 65535, not "65536"'],
    ['GATEWAY_PORT', '1.5', 'GATEWAY_PORT must be a whole number from 0 to 65535, not "1.5"'],
    ['GATEWAY_PORT', '0x50', 'GATEWAY_PORT must be a whole number from 0 to 65535, not "0x50"'],
    ['RATIO', '-1', 'RATIO must be a number, at least 0, not "-1"'],
    ['VERBOSE', 'maybe', 'VERBOSE must be true or false, not "maybe"'],
    ['STORE', 'disk', 'STORE must be one of sqlite, memory, not "disk"'],
    [
      'WORKER_URLS',
      'http://a,b',
      'WORKER_URLS must be a comma-separated list, each an http or https address, not "http://a,b"',
    ],
    [
      'WORKER_URLS',
      ',',
      'WORKER_URLS must be a comma-separated list, each an http or https address, not ","',
    ],
    ...['http://a/b', 'http://a?b', 'http://u:p@a', 'ftp://a', 'a:1'].map((text) => [
      'ORIGINS',
      text,
      `ORIGINS must be a comma-separated list, each an http or https address without a path, not "${text.replace(':p@', ':[secret]@')}"`,
    ]),
    ['SECRET', 'short', 'SECRET must be text of at least 8 characters'],
  ])('says what %s=%s must be', (name, value, fault) => {
    expect(faultsOf({ [name]: value })).toEqual([fault])
  })

  test('takes origins with a slash and a port', () => {
    const origins = ['http://a', 'https://a:8443/', 'http://[::1]:80', 'HTTP://A']
    expect(readConfig(Schema, { ORIGINS: origins.join(',') })).toMatchObject({ ORIGINS: origins })
  })

  test('says all faults in one line', () => {
    const required = Type.Object({ A: Type.Integer(), B: Type.String() })
    expect(() => readConfig(required, { A: 'x' })).toThrow(
      'A must be a whole number, not "x"; B must be set: text',
    )
  })
})

describe('withEnvFile', () => {
  function folder(text?: string): string {
    const path = mkdtempSync(join(tmpdir(), 'env-'))
    onTestFinished(() => rmSync(path, { recursive: true }))
    if (text !== undefined) writeFileSync(join(path, '.env'), text)
    return path
  }

  test('adds the file, but what is set wins', () => {
    const env = { A: 'set', B: '' }
    expect(withEnvFile(env, folder('A=file\nB=file\nC="from file"\n'))).toEqual({
      A: 'set',
      B: '',
      C: 'from file',
    })
    expect(env).toEqual({ A: 'set', B: '' })
  })

  test('is content without a file', () => {
    expect(withEnvFile({ A: '1' }, folder())).toEqual({ A: '1' })
  })
})

test('describeConfig shows neither secrets nor passwords', () => {
  const config = {
    GATEWAY_PORT: 1,
    SECRET: 'word',
    WORKER_URLS: ['http://a', 'redis://u:pass@b'],
    REDIS_URL: 'redis://:pass@c',
  }
  expect(describeConfig(config, ['SECRET'])).toBe(
    'GATEWAY_PORT=1\nSECRET=[secret]\nWORKER_URLS=http://a,redis://u:[secret]@b\nREDIS_URL=redis://:[secret]@c',
  )
})
