import { deflateRawSync } from 'node:zlib'
import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { AUDIENCE, base64url, FUTURE_S, forge, GOOD_CLAIMS, ISSUER, PAST_S, SECRET } from './tokens.ts'

type Row = readonly [name: string, token: string, code?: string]

const good = forge()
const [head = '', payload = '', signature = ''] = good.split('.')
const none = (alg: unknown) => ({ header: { alg }, signature: '' })
const ofHeader = (header: object) => forge({ header: { alg: 'HS256', ...header } })
const ofClaims = (claims: object) => forge({ claims: { ...claims } })

const ALGORITHMS: readonly Row[] = [
  ['of the algorithm none', forge(none('none'))],
  ['of the algorithm None', forge(none('None'))],
  ['of the algorithm NONE', forge(none('NONE'))],
  ['of the algorithm nOnE', forge(none('nOnE'))],
  ['of the algorithm none after a space', forge(none(' none'))],
  ['of the algorithm none with a NUL', forge(none('none\0'))],
  ['of the algorithm none, signed', forge({ header: { alg: 'none' } })],
  ['of the algorithm none without its last point', forge(none('none')).slice(0, -1)],
  ['of no algorithm', forge({ header: { typ: 'JWT' }, signature: '' })],
  ['of no algorithm, signed', forge({ header: { typ: 'JWT' } })],
  ['of an empty algorithm', forge({ header: { alg: '' } })],
  ['of a null algorithm', forge({ header: { alg: null } })],
  ['of the algorithm 0', forge({ header: { alg: 0 } })],
  ['of the algorithm true', forge({ header: { alg: true } })],
  ['of a list of algorithms', forge({ header: { alg: ['HS256'] } })],
  ['of an object of algorithms', forge({ header: { alg: { toString: 'HS256' } } })],
  ['of hs256 in lower case', forge({ header: { alg: 'hs256' } })],
  ['of HS256 and a space', forge({ header: { alg: 'HS256 ' } })],
  ['of HS384 by the same secret', forge({ header: { alg: 'HS384' }, hash: 'sha384' })],
  ['of HS512 by the same secret', forge({ header: { alg: 'HS512' }, hash: 'sha512' })],
  ['of HS1 by the same secret', forge({ header: { alg: 'HS1' }, hash: 'sha1' })],
  ['that says RS256 and is of a secret', forge({ header: { alg: 'RS256' } })],
  ['that says ES256 and is of a secret', forge({ header: { alg: 'ES256' } })],
  ['that says EdDSA and is of a secret', forge({ header: { alg: 'EdDSA' } })],
  ['that says PS256 and is of a secret', forge({ header: { alg: 'PS256' } })],
  ['of __proto__', forge({ header: '{"alg":"__proto__"}' })],
  ['of an algorithm in its prototype', forge({ header: '{"__proto__":{"alg":"HS256"}}' })],
]

const KEYS: readonly Row[] = [
  ['of another secret', forge({ secret: 'another secret of thirty-two chars' })],
  ['of an empty secret', forge({ secret: '' })],
  ['of the secret and a line end', forge({ secret: `${SECRET}\n` })],
  ['of the secret in base64', forge({ secret: Buffer.from(SECRET).toString('base64') })],
  ['of the first half of the secret', forge({ secret: SECRET.slice(0, 16) })],
  ['of "secret"', forge({ secret: 'secret' })],
  ['of 32 zeroes', forge({ secret: new Uint8Array(32) })],
  ['whose key is /dev/null', forge({ header: { alg: 'HS256', kid: '../../../../dev/null' }, secret: '' })],
  [
    'whose key is an SQL union',
    forge({ header: { alg: 'HS256', kid: "x' UNION SELECT 'k'--" }, secret: 'k' }),
  ],
  ['whose key is at a URL', forge({ header: { alg: 'HS256', kid: 'http://127.0.0.1/k' }, secret: 'k' })],
  ['whose key is a command', forge({ header: { alg: 'HS256', kid: '|echo k' }, secret: 'k' })],
  ['whose key id is 4 KB', forge({ header: { alg: 'HS256', kid: 'k'.repeat(4_096) }, secret: 'k' })],
  [
    'that brings its key',
    forge({ header: { alg: 'HS256', jwk: { kty: 'oct', k: base64url('k') } }, secret: 'k' }),
  ],
  ['that names a JWKS', forge({ header: { alg: 'HS256', jku: 'http://127.0.0.1/jwks' }, secret: 'k' })],
  ['that names a certificate', forge({ header: { alg: 'HS256', x5u: 'http://127.0.0.1/c' }, secret: 'k' })],
  ['that brings a certificate', forge({ header: { alg: 'HS256', x5c: ['MIIB'] }, secret: 'k' })],
  ['of what the gateway shows workers', forge({ secret: 'another secret of more than 32 characters' })],
]

const HEADERS: readonly Row[] = [
  ['with an unknown crit', ofHeader({ crit: ['admin'], admin: true })],
  ['with an empty crit', ofHeader({ crit: [] })],
  ['with a crit that is text', ofHeader({ crit: 'exp' })],
  ['with a crit of what is not there', ofHeader({ crit: ['exp'] })],
  ['with a crit of __proto__', forge({ header: '{"alg":"HS256","crit":["__proto__"]}' })],
  ['whose payload is not encoded', ofHeader({ crit: ['b64'], b64: false })],
  ['whose header is a list', forge({ header: ['HS256'] })],
  ['whose header is null', forge({ header: 'null' })],
  ['whose header is text', forge({ header: '"HS256"' })],
  ['whose header is cut off', forge({ header: '{"alg":"HS256"' })],
  ['whose header is empty', forge({ header: '' })],
  [
    'whose payload is compressed',
    forge({
      header: { alg: 'HS256', zip: 'DEF' },
      payload: deflateRawSync(JSON.stringify(GOOD_CLAIMS)).toString('latin1'),
    }),
  ],
]

const TIMES: readonly Row[] = [
  ['whose time is over', ofClaims({ exp: PAST_S }), 'token_expired'],
  ['whose time was over at the epoch', ofClaims({ exp: 0 }), 'token_expired'],
  ['whose time was over before it', ofClaims({ exp: -1 }), 'token_expired'],
  ['whose time has no end', ofClaims({ exp: undefined })],
  ['whose end is null', ofClaims({ exp: null })],
  ['whose end is text', ofClaims({ exp: String(FUTURE_S) })],
  ['whose end is a list', ofClaims({ exp: [FUTURE_S] })],
  ['whose end is within a second', ofClaims({ exp: FUTURE_S + 0.5 })],
  ['whose end is beyond all dates', ofClaims({ exp: 1e300 })],
  ['whose end is beyond all numbers', forge({ payload: payloadWith('"exp":1e999') })],
  ['whose time has not begun', ofClaims({ nbf: FUTURE_S }), 'token_not_yet_valid'],
  ['whose beginning is text', ofClaims({ nbf: 'now' })],
  ['that was issued by text', ofClaims({ iat: 'now' })],
  ['that was issued before the epoch', ofClaims({ iat: -1 })],
]

const CLAIMS: readonly Row[] = [
  ['for somebody else', ofClaims({ aud: 'other' }), 'token_wrong_audience'],
  ['for nobody', ofClaims({ aud: undefined }), 'token_wrong_audience'],
  ['for an empty list', ofClaims({ aud: [] }), 'token_wrong_audience'],
  ['for a list of others', ofClaims({ aud: ['a', 'b'] }), 'token_wrong_audience'],
  ['for who begins as we do', ofClaims({ aud: `${AUDIENCE}.evil` }), 'token_wrong_audience'],
  ['for us in another case', ofClaims({ aud: AUDIENCE.toUpperCase() }), 'token_wrong_audience'],
  ['for a number', ofClaims({ aud: 1 }), 'token_wrong_audience'],
  ['for our own streams', ofClaims({ aud: 'tributary:stream' }), 'token_wrong_audience'],
  ['for our own workers', ofClaims({ aud: 'tributary:worker' }), 'token_wrong_audience'],
  ['of another issuer', ofClaims({ iss: 'https://evil.example' }), 'token_wrong_issuer'],
  ['of no issuer', ofClaims({ iss: undefined }), 'token_wrong_issuer'],
  ['of an issuer with a slash behind', ofClaims({ iss: `${ISSUER}/` }), 'token_wrong_issuer'],
  ['of a list of issuers', ofClaims({ iss: [ISSUER] }), 'token_wrong_issuer'],
  ['of what calls itself us', ofClaims({ iss: 'tributary' }), 'token_wrong_audience'],
  ['of no user', ofClaims({ sub: undefined })],
  ['of an empty user', ofClaims({ sub: '' })],
  ['of a number', ofClaims({ sub: 1 })],
  ['of null', ofClaims({ sub: null })],
  ['of a list of users', ofClaims({ sub: ['user', 'admin'] })],
  ['of an object', ofClaims({ sub: { toString: 'admin' } })],
  ['of a user of 129 characters', ofClaims({ sub: 'u'.repeat(129) })],
  ['of a user with CR LF', ofClaims({ sub: 'user\r\nevent: x' })],
  ['of a user with LF', ofClaims({ sub: 'user\nadmin' })],
  ['of a user with NUL', ofClaims({ sub: 'user\0' })],
  ['of a user with DEL', ofClaims({ sub: 'user\x7f' })],
  ['of a user with a tab', ofClaims({ sub: 'user\t' })],
  ['whose roles are text', ofClaims({ roles: 'admin' })],
  ['whose roles are an object', ofClaims({ roles: { admin: true } })],
  ['whose role is empty', ofClaims({ roles: [''] })],
  ['whose role is a list', ofClaims({ roles: [['admin']] })],
  ['whose role has a line end', ofClaims({ roles: ['admin\n'] })],
  ['of 101 roles', ofClaims({ roles: Array.from({ length: 101 }, (_, n) => `r${n}`) })],
  ['whose groups are text', ofClaims({ groups: '*' })],
  ['whose group is true', ofClaims({ groups: [true] })],
  ['whose metadata is a list', ofClaims({ metadata: ['admin'] })],
  ['whose metadata is text', ofClaims({ metadata: 'admin' })],
  ['whose id is a number', ofClaims({ jti: 1 })],
  ['whose id is empty', ofClaims({ jti: '' })],
  ['whose claims are a list', forge({ payload: [GOOD_CLAIMS] })],
  ['whose claims are null', forge({ payload: 'null' })],
  ['whose claims are text', forge({ payload: '"user"' })],
  ['whose claims are no JSON', forge({ payload: '{sub:"user"}' })],
  ['whose claims are empty', forge({ payload: '' })],
  [
    'whose claims are in its prototype',
    forge({ payload: '{"__proto__":{"sub":"admin"}}' }),
    'token_wrong_issuer',
  ],
  ['whose claims are a token', forge({ header: { alg: 'HS256', cty: 'JWT' }, payload: good })],
  ['whose claims are no UTF-8', `${head}.${base64url(Buffer.from('{"sub":"\xc0\xaf"}', 'latin1'))}.x`],
]

const FORMS: readonly Row[] = [
  ['that is text', 'nonsense'],
  ['that is a point', '.'],
  ['that is two points', '..'],
  ['that is three points', '...'],
  ['of two parts', `${head}.${payload}`],
  ['without its signature', `${head}.${payload}.`],
  ['without its header', `.${payload}.${signature}`],
  ['without its claims', `${head}..${signature}`],
  ['of four parts', `${good}.${signature}`],
  ['of five parts, encrypted', `${base64url('{"alg":"dir","enc":"A256GCM"}')}..aaaa.bbbb.cccc`],
  ['of five parts, by no key', `${base64url('{"alg":"none","enc":"none"}')}.a.b.c.d`],
  ['of a thousand parts', Array.from({ length: 1_000 }, () => 'a').join('.')],
  ['that is cut off', good.slice(0, -10)],
  ['of half a signature', `${head}.${payload}.${signature.slice(0, 21)}`],
  ['with another last letter', `${head}.${payload}.${signature.slice(0, -5)}AAAAA`],
  ['whose signature is of another token', `${head}.${payload}.${ofClaims({ sub: 'admin' }).split('.')[2]}`],
  ['whose claims are of another token', `${head}.${ofClaims({ sub: 'admin' }).split('.')[1]}.${signature}`],
  ['that is padded', `${head}.${payload}=.${signature}=`],
  ['with a space in it', `${head}. ${payload}.${signature}`],
  ['with a tab in it', `${head}.\t${payload}.${signature}`],
  [
    'with a line of base64 that is none',
    `${head}.${payload}.${signature.slice(0, 20)}*${signature.slice(20)}`,
  ],
  ['in quotes', `"${good}"`],
  ['in other letters of the same look', good.replace('e', 'е')],
  ['with a byte order mark', `\ufeff${good}`],
  ['twice', `${good}${good}`],
  ['twice with a comma', `${good},${good}`],
  ['twice with a space', `${good} ${good}`],
  ['of 8,193 characters', good.padEnd(8_193, 'A')],
  ['of 20,000 characters', good.padEnd(20_000, 'A')],
  ['of 20,000 characters in its claims', ofClaims({ metadata: { x: 'x'.repeat(20_000) } })],
]

function payloadWith(more: string): string {
  return `${JSON.stringify({ ...GOOD_CLAIMS, exp: undefined }).slice(0, -1)},${more}}`
}

const hostile = inHostileWorld()

for (const [title, rows] of Object.entries({ ALGORITHMS, KEYS, HEADERS, TIMES, CLAIMS, FORMS })) {
  const cases = (to: 'gateway' | 'worker', path: string): HostileCase[] =>
    rows.map(([name, token, code = 'token_invalid']) => {
      return { name, to, path, headers: { Authorization: `Bearer ${token}` }, status: 401, code }
    })
  hostile(`a gateway refuses a token (${title.toLowerCase()})`, cases('gateway', '/api/sse'))
  hostile(`a worker refuses a token (${title.toLowerCase()})`, cases('worker', '/api/runs'))
}
