import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { forge, tokenOf } from './tokens.ts'

const PATH = '/api/sse'
const good = tokenOf('user')
const bad = forge({ secret: 'x' })

type Refusal = 'token_invalid' | 'token_unknown' | 'unauthorized'
const bears = (name: string, value: string, code: Refusal): HostileCase => ({
  name,
  path: PATH,
  headers: { Authorization: value },
  status: 401,
  code,
})
const asks = (name: string, query: string, code: Refusal, headers: HostileCase['headers'] = {}) => ({
  name,
  path: `${PATH}?${query}`,
  headers,
  status: 401,
  code,
})

const hostile = inHostileWorld()

hostile('an Authorization', [
  bears('of nothing', '', 'unauthorized'),
  bears('of Bearer alone', 'Bearer', 'token_unknown'),
  bears('of Bearer and a space', 'Bearer ', 'token_unknown'),
  bears('of Bearer and a tab', 'Bearer\t', 'token_unknown'),
  bears('of Bearer and spaces', 'Bearer      ', 'token_unknown'),
  bears('with a tab before the token', `Bearer\t${good}`, 'unauthorized'),
  bears('without a space before the token', `Bearer${good}`, 'unauthorized'),
  bears('of the token alone', good, 'unauthorized'),
  bears('of Basic', `Basic ${Buffer.from(`user:${good}`).toString('base64')}`, 'unauthorized'),
  bears('of Digest', 'Digest username="user"', 'unauthorized'),
  bears('of Token', `Token ${good}`, 'unauthorized'),
  bears('of JWT', `JWT ${good}`, 'unauthorized'),
  bears('of DPoP', `DPoP ${good}`, 'unauthorized'),
  bears('of Negotiate', `Negotiate ${good}`, 'unauthorized'),
  bears('of Bearer twice', `Bearer Bearer ${good}`, 'token_invalid'),
  bears('of two tokens', `Bearer ${good}, Bearer ${good}`, 'token_invalid'),
  bears('with a parameter', `Bearer ${good};x=1`, 'token_invalid'),
  bears('in another alphabet', `Веаrer ${good}`, 'unauthorized'),
  bears('in full-width letters', `Ｂｅａｒｅｒ ${good}`, 'unauthorized'),
  bears('of null', 'Bearer null', 'token_invalid'),
  bears('of undefined', 'Bearer undefined', 'token_invalid'),
  bears('of a development token', 'Bearer test-token', 'token_invalid'),
  { name: 'in lower case is one', path: PATH, headers: { authorization: `bearer ${good}` }, status: 200 },
  {
    name: 'of a bad token before a good one',
    path: PATH,
    headers: [
      ['Authorization', `Bearer ${bad}`],
      ['Authorization', `Bearer ${good}`],
    ],
    status: 401,
    code: 'token_invalid',
  },
])

hostile('a query', [
  asks('of an empty token', 'token=', 'token_unknown'),
  asks('of a token without a value', 'token', 'token_unknown'),
  asks('of a space', 'token=%20', 'token_invalid'),
  asks('of NUL', 'token=%00', 'token_invalid'),
  asks('of CR LF', 'token=%0d%0aX-Evil:%201', 'token_invalid'),
  asks('of two good tokens', `token=${good}&token=${good}`, 'token_unknown'),
  asks('of a good token before a bad one', `token=${good}&token=x`, 'token_unknown'),
  asks('of a bad token before a good one', `token=x&token=${good}`, 'token_unknown'),
  asks('of two tokens, one encoded', `token=${good}&%74oken=${good}`, 'token_unknown'),
  asks('of a list', `token[]=${good}`, 'unauthorized'),
  asks('of an object', `token[a]=${good}`, 'unauthorized'),
  asks('in capitals', `TOKEN=${good}`, 'unauthorized'),
  asks('after a semicolon', `a=1;token=${good}`, 'unauthorized'),
  asks('behind a fragment', `a=1#token=${good}`, 'unauthorized'),
  asks('of another name', `access_token=${good}`, 'unauthorized'),
  asks('of the name of a member of all objects', `__proto__[token]=${good}`, 'unauthorized'),
  asks('that names a user', 'userId=admin', 'unauthorized'),
  asks('of a bad token beside a good header', `token=${bad}`, 'token_invalid', {
    authorization: `Bearer ${good}`,
  }),
  asks('of an empty token beside a good header', 'token=', 'token_unknown', {
    authorization: `Bearer ${good}`,
  }),
  asks('of nothing, and a good token in the body of a GET', '', 'unauthorized', {
    'X-Token': good,
  }),
  {
    name: 'of a good token beside a bad header decides',
    path: `${PATH}?token=${good}`,
    headers: { authorization: `Bearer ${bad}` },
    status: 200,
  },
])

const header = (name: string, value: string, code: Refusal, more: object = {}): HostileCase => ({
  name,
  path: PATH,
  headers: { 'X-Auth-Token': value, ...more },
  status: 401,
  code,
})

hostile('another header', [
  header('of an empty token', '', 'token_unknown'),
  header('of spaces', '   ', 'token_unknown'),
  header('of Bearer', `Bearer ${good}`, 'token_invalid'),
  header('of two tokens', `${good},${good}`, 'token_invalid'),
  header('of a good token behind a bad Authorization', good, 'token_invalid', {
    Authorization: `Bearer ${bad}`,
  }),
  {
    name: 'twice',
    path: PATH,
    headers: [
      ['X-Auth-Token', good],
      ['X-Auth-Token', good],
    ],
    status: 401,
    code: 'token_invalid',
  },
  ...[
    ['Cookie', `token=${good}`],
    ['Cookie', `Authorization=Bearer ${good}`],
    ['Proxy-Authorization', `Bearer ${good}`],
    ['X-Authorization', `Bearer ${good}`],
    ['X_Auth_Token', good],
    ['X-User-Id', 'admin'],
    ['X-Forwarded-User', 'admin'],
    ['X-Remote-User', 'admin'],
    ['X-Original-URL', '/healthz'],
    ['X-Rewrite-URL', '/healthz'],
    ['X-HTTP-Method-Override', 'OPTIONS'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['Forwarded', 'for=127.0.0.1'],
    ['X-Real-IP', '127.0.0.1'],
    ['Host', 'localhost'],
  ].map(([name = '', value = '']) => ({
    name: `of ${name}`,
    path: PATH,
    headers: { [name]: value },
    status: 401,
    code: 'unauthorized',
  })),
])
