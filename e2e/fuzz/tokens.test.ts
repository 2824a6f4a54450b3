import { createHmac } from 'node:crypto'
import { ERROR_CODES, systemClock } from '@tributary/protocol'
import { createAuth, readConfig, serviceConfig } from '@tributary/service'
import fc from 'fast-check'
import Type from 'typebox'
import { beforeAll, expect } from 'vitest'
import { fuzz } from './fuzz.ts'
import { anyJson } from './values-of.ts'

const SECRET = 'a secret of thirty-two characters'
let authenticate: (token: string) => Promise<unknown>

beforeAll(async () => {
  const config = readConfig(Type.Object(serviceConfig), {
    NODE_ENV: 'production',
    AUTH_JWT_SECRET: SECRET,
  })
  const { authenticator } = await createAuth(config, { clock: systemClock })
  authenticate = (token) =>
    authenticator.authenticate({
      query: { token },
      headers: {},
      socket: { remoteAddress: '127.0.0.1' },
    })
})

/** Whoever bears this is refused with a 401 and a code, and nothing else is thrown. */
async function refused(token: string): Promise<void> {
  const error: unknown = await authenticate(token).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ name: 'ProblemError', statusCode: 401 })
}

const base64url = (text: string) => Buffer.from(text).toString('base64url')
const sign = (signed: string) => createHmac('sha256', SECRET).update(signed).digest('base64url')
const part = () =>
  fc.oneof(
    anyJson().map((value) => base64url(JSON.stringify(value))),
    fc.base64String(),
    fc.string({ maxLength: 20 }),
  )

fuzz('any text is no token', fc.asyncProperty(fc.string({ unit: 'binary' }), refused))

fuzz(
  'any parts are no token',
  fc.asyncProperty(fc.array(part(), { maxLength: 6 }), (parts) => refused(parts.join('.'))),
)

fuzz(
  'any header is refused, also of the right signature',
  fc.asyncProperty(
    fc.dictionary(fc.constantFrom('alg', 'kid', 'crit', 'b64', 'jwk', 'jku', 'zip', 'typ'), anyJson()),
    (header) => {
      const claims = { sub: 'ann', exp: 4_000_000_000 }
      const signed = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`
      return refused(`${signed}.${sign(signed)}`)
    },
  ),
)

const CLAIMS = ['sub', 'exp', 'nbf', 'iat', 'jti', 'roles', 'groups', 'publish', 'metadata', 'x'] as const

fuzz(
  'any claims that are rightly signed make a principal, or a 401',
  fc.asyncProperty(
    fc.dictionary(fc.constantFrom(...CLAIMS), anyJson()),
    fc.boolean(),
    async (claims, whole) => {
      const payload = whole ? { sub: 'ann', exp: 4_000_000_000, ...claims } : claims
      const signed = `${base64url('{"alg":"HS256"}')}.${base64url(JSON.stringify(payload))}`
      const token = `${signed}.${sign(signed)}`
      const principal = await authenticate(token).catch((error: unknown) => error)
      if (principal instanceof Error) {
        expect(principal).toMatchObject({ name: 'ProblemError', statusCode: 401 })
        expect(Object.keys(ERROR_CODES)).toContain('code' in principal ? principal.code : undefined)
      } else {
        expect(principal).toMatchObject({ method: 'token' })
        expect(principal).toHaveProperty('userId', payload.sub)
      }
    },
  ),
)
