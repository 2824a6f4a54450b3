import { createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { inHostileWorld } from './hostile-world.ts'
import { base64url, GOOD_CLAIMS, type Who } from './tokens.ts'

const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 })
const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwk = (key: KeyObject, more: object) => ({ ...key.export({ format: 'jwk' }), use: 'sig', ...more })

const folder = mkdtempSync(join(tmpdir(), 'tributary-jwks-'))
const file = join(folder, 'jwks.json')
const keys = [
  jwk(ours.publicKey, { kid: 'rsa', alg: 'RS256' }),
  jwk(curve.publicKey, { kid: 'curve', alg: 'ES256' }),
]
writeFileSync(file, JSON.stringify({ keys }))
afterAll(() => rmSync(folder, { recursive: true }))

const PEM = ours.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const PKCS1 = ours.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
const DER = ours.publicKey.export({ type: 'spki', format: 'der' })

const unsigned = (header: object, claims: object) =>
  `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify({ ...GOOD_CLAIMS, ...claims }))}`

/** Signed by a key pair, ours unless told. */
function signed(header: object = {}, claims: object = {}, key = ours.privateKey, hash = 'SHA256'): string {
  const text = unsigned({ alg: 'RS256', kid: 'rsa', ...header }, claims)
  return `${text}.${createSign(hash).update(text).sign({ key, dsaEncoding: 'ieee-p1363' }, 'base64url')}`
}

/** Signed by a secret: what everybody may know. */
function swapped(secret: string | Uint8Array, header: object = {}): string {
  const text = unsigned({ alg: 'HS256', kid: 'rsa', ...header }, {})
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

const byThem = (header: object) => signed(header, {}, theirs.privateKey)

const TOKENS: readonly [name: string, token: string][] = [
  ['by the public key as the secret of HS256', swapped(PEM)],
  ['by the same without its last line end', swapped(PEM.trim())],
  ['by the same in PKCS 1', swapped(PKCS1)],
  ['by the same in DER', swapped(DER)],
  ['by its modulus', swapped(String(jwk(ours.publicKey, {}).n))],
  ['by its JWK', swapped(JSON.stringify(keys[0]))],
  ['by the JWKS', swapped(JSON.stringify({ keys }))],
  ['by the public key, that says RS256', swapped(PEM, { alg: 'RS256' })],
  ['by the public key, of no key id', swapped(PEM, { kid: undefined })],
  ['by nobody', `${unsigned({ alg: 'none', kid: 'rsa' }, {})}.`],
  ['by nobody, that says RS256', `${unsigned({ alg: 'RS256', kid: 'rsa' }, {})}.`],
  ['by another key of the same id', byThem({})],
  ['by another key of no id', byThem({ kid: undefined })],
  ['by another key that it brings', byThem({ jwk: jwk(theirs.publicKey, { kid: 'rsa' }) })],
  ['by another key at its JWKS', byThem({ jku: 'http://127.0.0.1:9/jwks.json' })],
  ['by another key at its certificate', byThem({ x5u: 'http://127.0.0.1:9/cert.pem' })],
  ['by another key with its certificate', byThem({ x5c: [base64url(DER)] })],
  ['by another key with its print', byThem({ x5t: 'AAAA', 'x5t#S256': 'AAAA' })],
  ['of the id of another kind of key', signed({ kid: 'curve' })],
  ['of a key that is not there', signed({ kid: 'none' })],
  ['of a key at a path', signed({ kid: '../../etc/passwd' })],
  ['of a key in SQL', signed({ kid: "rsa' OR '1'='1" })],
  ['of a key at a URL', signed({ kid: 'http://127.0.0.1:9/k' })],
  ['of a key in its prototype', signed({ kid: '__proto__' })],
  ['of a key with a NUL', signed({ kid: 'rsa\0' })],
  ['of a key id that is a list', signed({ kid: ['rsa'] })],
  ['of a key id that is a number', signed({ kid: 0 })],
  ['of a key id of 4 KB', signed({ kid: 'k'.repeat(4_096) })],
  ['that says ES256 and is of RSA', signed({ alg: 'ES256' })],
  ['that says ES256 and is of no signature', `${unsigned({ alg: 'ES256', kid: 'curve' }, {})}.`],
  [
    'that says ES256 and is of zeroes',
    `${unsigned({ alg: 'ES256', kid: 'curve' }, {})}.${base64url(new Uint8Array(64))}`,
  ],
  ['by RS512', signed({ alg: 'RS512' }, {}, ours.privateKey, 'SHA512')],
  ['by PS256', signed({ alg: 'PS256' })],
  ['by RSA1_5', signed({ alg: 'RSA1_5' })],
  ['that says EdDSA', signed({ alg: 'EdDSA' })],
]

const tokenOf = (who: Who) =>
  signed({}, { sub: who, roles: who === 'publisher' || who === 'admin' ? [who] : [] })

const environment = { AUTH_JWT_SECRET: '', AUTH_JWKS_FILE: file }
const hostile = inHostileWorld({ gateway: environment, worker: environment, tokenOf })

hostile('with a JWKS', [
  { name: 'lets in who is signed by its key', as: 'user', path: '/api/sse', status: 200 },
  ...TOKENS.map(([name, token]) => ({
    name: `refuses a token ${name}`,
    path: '/api/sse',
    headers: { authorization: `Bearer ${token}` },
    status: 401,
    code: 'token_invalid',
  })),
])
