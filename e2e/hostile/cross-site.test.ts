import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { base64url, type Forgery, forge, PAST_S, tokenOf } from './tokens.ts'

const MANAGED = '/api/sse/managed'
const PAGES = 'https://pages.example'
const EVIL = 'https://evil.example'
const ENV = { CORS_ORIGINS: PAGES, CORS_CREDENTIALS: 'true' }

const hostile = inHostileWorld({ gateway: ENV, worker: ENV })

/** A session cookie of an admin, good but for what is said. */
const cookieOf = ({ claims, ...forgery }: Forgery = {}) =>
  `tributary_session=${forge({
    ...forgery,
    claims: {
      iss: 'tributary',
      aud: 'tributary:session',
      sub: 'root',
      roles: ['admin'],
      jti: 'j',
      ...claims,
    },
  })}`

/** What changes something, at the gateway unless it is said. */
const CHANGING: readonly Pick<HostileCase, 'to' | 'method' | 'path' | 'body'>[] = [
  { method: 'POST', path: '/api/sse', body: { event: 'forged', data: 1 } },
  { method: 'POST', path: `${MANAGED}/send/user/healthy`, body: { event: 'forged', data: 1 } },
  { method: 'POST', path: `${MANAGED}/broadcast`, body: { event: 'forged', data: 1 } },
  { method: 'DELETE', path: `${MANAGED}/connections` },
  { method: 'POST', path: '/api/auth/revocations', body: { userId: 'healthy' } },
  {
    method: 'POST',
    path: '/api/sse-proxy/relay/sse-emitter',
    body: { endpoint: '/api/sse/sample-parallel' },
  },
  { method: 'POST', path: '/api/runs/run_1/cancel' },
  { method: 'POST', path: '/api/sse/emitter/parallel-tasks', to: 'worker', body: { tasks: [] } },
]

/** How a page that is not ours makes a browser send, and what stands for it in older ones. */
const SENDERS: readonly (readonly [name: string, headers: Record<string, string>])[] = [
  ['another page', { Origin: EVIL }],
  [
    'another page that is said to be ours',
    { Origin: EVIL, 'Sec-Fetch-Site': 'same-origin', Referer: 'http://127.0.0.1/' },
  ],
  ['a sandboxed page', { Origin: 'null' }],
  ['a page whose name begins as a listed one', { Origin: `${PAGES}.evil.example` }],
  ['a page with a listed name as its user', { Origin: `${PAGES}@evil.example` }],
  ['a listed page without TLS', { Origin: 'http://pages.example' }],
  ['a page of another port', { Origin: 'http://127.0.0.1:81' }],
  ['a page that knows its name in DNS', { Origin: 'http://localhost' }],
  ['an empty origin', { Origin: '' }],
  ['a link from elsewhere', { 'Sec-Fetch-Site': 'cross-site' }],
  ['a link from a neighbour', { 'Sec-Fetch-Site': 'same-site' }],
  ['a link in a mail', { 'Sec-Fetch-Site': 'none' }],
  ['a page known by its address', { Referer: `${EVIL}/http://127.0.0.1/` }],
  ['who does not say', {}],
]

hostile(
  'a session is not used by',
  SENDERS.flatMap(([sender, headers]) =>
    CHANGING.map((changing) => ({
      ...changing,
      name: `${sender}: ${changing.method} ${changing.path}`,
      headers: { Cookie: cookieOf(), ...headers },
      status: 403,
      code: 'cross_site_refused',
    })),
  ),
)

hostile(
  'a stream and a page of another origin',
  ['/api/sse', `${MANAGED}/connect`, '/api/realtime/polling', '/api/runs', '/api/auth/sse-token'].map(
    (path) => ({
      name: path,
      path,
      headers: { Cookie: cookieOf(), Origin: EVIL },
      status: 403,
      code: 'cross_site_refused',
    }),
  ),
)

hostile(
  'a stream is not opened in the name of who merely looks at a page, by',
  [
    { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' },
    { 'Sec-Fetch-Site': 'same-site', Referer: 'http://127.0.0.1/' },
  ].flatMap((headers) =>
    ['/api/sse', `${MANAGED}/connect/group/g`, '/api/realtime/sse', '/api/realtime/polling?sessionId=s'].map(
      (path) => ({
        name: `${Object.values(headers).join(', ')}: ${path}`,
        path,
        headers: { Cookie: cookieOf(), ...headers },
        status: 403,
        code: 'cross_site_refused',
      }),
    ),
  ),
)

hostile('signing out is not done', [
  {
    name: 'by another page',
    method: 'DELETE',
    path: '/api/auth/session',
    headers: { Cookie: cookieOf(), Origin: EVIL },
    status: 403,
    code: 'cross_site_refused',
  },
])

hostile('who asks what is not there, as a preflight without its headers', [
  { name: 'of no page', method: 'OPTIONS', path: '/nowhere', status: 404, code: 'not_found' },
  {
    name: 'of another page',
    method: 'OPTIONS',
    path: '/api/sse/reset',
    headers: { Origin: EVIL },
    status: 404,
    code: 'not_found',
  },
])

hostile('who signs in by a token in the address from elsewhere', [
  {
    name: 'as somebody of the attacker',
    method: 'POST',
    path: `/api/auth/session?token=${tokenOf('other')}`,
    headers: { Origin: EVIL },
    status: 403,
    code: 'cross_site_refused',
  },
])

/** Session cookies that are none, and why. */
const BAD_COOKIES: readonly (readonly [name: string, cookie: string, code: string])[] = [
  ['without an algorithm', cookieOf({ header: { alg: 'none' }, signature: '' }), 'token_invalid'],
  ['of another algorithm', cookieOf({ header: { alg: 'HS512' }, hash: 'sha512' }), 'token_invalid'],
  ['of another key', cookieOf({ secret: 'no secret of anybody, but as long' }), 'token_invalid'],
  ['that has ended', cookieOf({ claims: { exp: PAST_S } }), 'token_expired'],
  ['that never ends', cookieOf({ claims: { exp: undefined } }), 'token_invalid'],
  ['that is for streams', cookieOf({ claims: { aud: 'tributary:stream' } }), 'token_wrong_audience'],
  ['that is for workers', cookieOf({ claims: { aud: 'tributary:worker' } }), 'token_wrong_audience'],
  ['of another issuer', cookieOf({ claims: { iss: 'https://id.example.org' } }), 'token_wrong_issuer'],
  ['of nobody', cookieOf({ claims: { sub: undefined } }), 'token_invalid'],
  ['of an anonymous stream', cookieOf({ claims: { sub: 'anonymous:s1' } }), 'token_invalid'],
  ['that is the token of a user', `tributary_session=${tokenOf('admin')}`, 'token_wrong_issuer'],
  ['that is no token', 'tributary_session=admin', 'token_invalid'],
  ['that is JSON', `tributary_session=${base64url('{"sub":"admin"}')}`, 'token_invalid'],
  ['that is too long', `tributary_session=${'x'.repeat(9_000)}`, 'token_invalid'],
  ['of which the first is bad', `tributary_session=x; ${cookieOf()}`, 'token_invalid'],
]

hostile(
  'a session cookie does not count',
  (['gateway', 'worker'] as const).flatMap((to) =>
    BAD_COOKIES.map(([name, cookie, code]) => ({
      name: `${name}, at a ${to}`,
      to,
      path: '/api/runs',
      headers: { Cookie: cookie, Origin: PAGES },
      status: 401,
      code,
    })),
  ),
)

hostile('a session cookie of another name is none', [
  {
    name: 'in capitals',
    path: '/api/runs',
    headers: { Cookie: cookieOf().replace('t', 'T') },
    status: 401,
    code: 'unauthorized',
  },
  {
    name: 'as a prototype',
    path: '/api/runs',
    headers: { Cookie: '__proto__=x; constructor=y' },
    status: 401,
    code: 'unauthorized',
  },
  {
    name: 'of Auth.js, which is not configured',
    path: '/api/runs',
    headers: { Cookie: 'authjs.session-token=x' },
    status: 401,
    code: 'unauthorized',
  },
])

hostile('a stream without a user', [
  { name: 'where it is not let in', path: '/api/sse?sessionId=s1', status: 401, code: 'unauthorized' },
  { name: 'that names itself', path: '/api/sse?userId=anonymous:s1', status: 401, code: 'unauthorized' },
])
