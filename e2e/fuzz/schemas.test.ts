import * as protocol from '@tributary/protocol'
import { createApp, createAuth, createLogger, Drain, readConfig, serviceConfig } from '@tributary/service'
import fc from 'fast-check'
import Type, { type TSchema } from 'typebox'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { fuzz } from './fuzz.ts'
import { anyJson, mutated, valuesOf } from './values-of.ts'

/** Every schema that `protocol` exports, by its name. */
const SCHEMAS: [name: string, schema: TSchema][] = Object.entries(protocol).flatMap(([name, value]) =>
  typeof value === 'object' && '~kind' in value && Type.IsSchema(value) ? [[name, value]] : [],
)

let app: Awaited<ReturnType<typeof createApp>>
/** The validator that requests meet, compiled for each schema. */
const checks = new Map<string, (value: unknown) => unknown>()

beforeAll(async () => {
  const logger = createLogger({ name: 'fuzz', level: 'silent' })
  const config = readConfig(Type.Object(serviceConfig), { NODE_ENV: 'test' })
  const { authenticator } = await createAuth(config, { clock: protocol.systemClock })
  app = await createApp({
    name: 'Fuzz',
    version: '0.0.0',
    description: 'A route for each schema.',
    logger,
    drain: new Drain({ limitMs: 1_000, logger }),
    authenticator,
  })
  for (const [name, body] of SCHEMAS) {
    app.post(`/${name}`, { schema: { body } }, async () => ({ ok: true }))
  }
  await app.ready()
  const compile = app.validatorCompiler
  if (compile === undefined) throw new Error('The app has no validator')
  for (const [name, schema] of SCHEMAS) {
    checks.set(name, compile({ schema, method: 'POST', url: `/${name}`, httpPart: 'body' }))
  }
})
afterAll(() => app.close())

describe.each(SCHEMAS)('%s', (name, schema) => {
  const isTaken = (value: unknown) => checks.get(name)?.(structuredClone(value)) === true

  fuzz(
    'takes the values that it describes, before and after they went as JSON',
    fc.property(valuesOf(schema), (value) => {
      expect(isTaken(value)).toBe(true)
      const came: unknown = JSON.parse(JSON.stringify(value))
      expect(isTaken(came)).toBe(true)
      expect(JSON.stringify(came)).toBe(JSON.stringify(value))
    }),
  )

  fuzz(
    'takes what was changed, or says where it is wrong',
    fc.asyncProperty(valuesOf(schema), fc.nat(), anyJson(), async (value, choice, instead) => {
      const payload = JSON.stringify(mutated(value, choice, instead))
      const answer = await app.inject({
        method: 'POST',
        url: `/${name}`,
        headers: { 'content-type': 'application/json' },
        payload,
      })
      if (answer.statusCode === 200) return
      const problem = answer.json()
      expect(problem).toMatchObject({ status: 400, code: 'invalid_request' })
      if (/"__proto__"|"constructor"/.test(payload)) return
      expect(problem.errors[0].path).toMatch(/^body/)
      expect(problem.detail).toContain(problem.errors[0].path)
    }),
    0.1,
  )
})
