import { expect } from 'vitest'
import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'

const hostile = inHostileWorld()

/** Nobody asks: what a trick reaches without a token would be reached past the door. */
const asks = (path: string, status: number, code?: string): HostileCase => ({
  name: JSON.stringify(path.length > 60 ? `${path.slice(0, 60)}…` : path),
  path,
  status,
  ...(code === undefined ? {} : { code }),
})
const nowhere = (path: string) => asks(path, 404, 'not_found')
const invalid = (path: string) => asks(path, 400, 'invalid_request')

hostile('a path', [
  nowhere('//api/sse'),
  nowhere('/api//sse'),
  nowhere('/api/sse/'),
  nowhere('/api/sse//'),
  nowhere('/./api/sse'),
  nowhere('/api/./sse'),
  nowhere('/api/../api/sse'),
  nowhere('/docs/../api/sse'),
  nowhere('/healthz/../api/runs'),
  nowhere('/healthz/..%2fapi/runs'),
  nowhere('/healthz/%2e%2e/api/runs'),
  nowhere('/healthz/%2e%2e%2fapi%2fruns'),
  nowhere('/healthz/..%5capi%5cruns'),
  nowhere('/healthz/..\\api\\runs'),
  nowhere('/healthz/..;/api/runs'),
  nowhere('/healthz;/api/runs'),
  nowhere('/healthz%3f/../api/runs'),
  nowhere('/healthz%23/../api/runs'),
  nowhere('/%2fapi/runs'),
  nowhere('/api%2fruns'),
  nowhere('/api%252fruns'),
  nowhere('/api%5cruns'),
  nowhere('/api\\runs'),
  nowhere('/API/runs'),
  nowhere('/Api/Runs'),
  nowhere('/api/RUNS'),
  nowhere('/api/runs.'),
  nowhere('/api/runs...'),
  nowhere('/api/runs%20'),
  nowhere('/api/runs%00'),
  nowhere('/api/runs%00.html'),
  nowhere('/api/runs%0a'),
  nowhere('/api/runs%0d%0aX-Evil:%201'),
  nowhere('/api/runs.json'),
  nowhere('/api/runs;v=1'),
  nowhere('/api/runs;/events'),
  asks('/docs/static/../../package.json', 403, 'forbidden'),
  asks('/docs/static/%2e%2e/%2e%2e/package.json', 403, 'forbidden'),
  nowhere('/docs/static/..%2f..%2fpackage.json'),
  nowhere('/docs/static/%252e%252e%252fpackage.json'),
  asks('/docs/static//etc/passwd', 403, 'forbidden'),
  nowhere('/sse-client/../../package.json'),
  nowhere('/sse-client/%2e%2e%2f%2e%2e%2fpackage.json'),
  nowhere('/.env'),
  nowhere('/.git/config'),
  nowhere('/.data/tributary.sqlite'),
  nowhere('/server-status'),
  nowhere('/debug/pprof'),
  nowhere('/__proto__'),
  nowhere('/constructor'),
  nowhere('/api/sse/reset'),
  invalid('/api/ſse'),
  invalid('/api/runs/%c0%af'),
  invalid('/api/runs/%e0%80%af'),
  invalid('/api/runs/%ff'),
  invalid('/api/runs/%'),
  invalid('/api/runs/%2'),
  invalid('/api/runs/%zz'),
  invalid('/%c0%ae%c0%ae/api/runs'),
  asks('/api/runs/..', 401, 'unauthorized'),
  asks('/api/runs/%2e%2e', 401, 'unauthorized'),
  asks('/api/runs/..%2f..%2fhealthz', 401, 'unauthorized'),
  asks('/api/runs/%00', 401, 'unauthorized'),
  asks(`/api/runs/${'a'.repeat(2_000)}`, 414, 'uri_too_long'),
  asks(`/${'a'.repeat(20_000)}`, 404, 'not_found'),
  asks(`/${'a/'.repeat(10_000)}`, 404, 'not_found'),
  asks(`/${'../'.repeat(10_000)}etc/passwd`, 404, 'not_found'),
  asks(`/${'a'.repeat(40_000)}`, 414, 'uri_too_long'),
  asks(`/api/runs?${'a=1&'.repeat(5_000)}`, 401, 'unauthorized'),
])

const target = (name: string, first: string, status: number, code?: string): HostileCase => ({
  name: `${name}: ${JSON.stringify(first)}`,
  raw: `${first}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`,
  status,
  ...(code === undefined ? {} : { code }),
})

hostile('a target', [
  target('a whole address', 'GET http://127.0.0.1/api/runs HTTP/1.1', 401, 'unauthorized'),
  target('of elsewhere', 'GET http://169.254.169.254/latest/meta-data HTTP/1.1', 404, 'not_found'),
  target('of another scheme', 'GET file:///etc/passwd HTTP/1.1', 404, 'not_found'),
  target('with a user', 'GET http://admin:x@127.0.0.1/api/runs HTTP/1.1', 401, 'unauthorized'),
  target('an authority', 'CONNECT 127.0.0.1:22 HTTP/1.1', 0),
  target('an authority to a GET', 'GET 127.0.0.1:22 HTTP/1.1', 400, 'invalid_request'),
  target('a star', 'GET * HTTP/1.1', 405, 'method_not_allowed'),
  target('a star of what is there', 'OPTIONS * HTTP/1.1', 204),
  target('nothing', 'GET  HTTP/1.1', 400, 'invalid_request'),
  target('no slash', 'GET api/runs HTTP/1.1', 400, 'invalid_request'),
  target('a question alone', 'GET ?token=x HTTP/1.1', 400, 'invalid_request'),
  target('a fragment', 'GET /healthz#/api/runs HTTP/1.1', 200),
  target('a space', 'GET /healthz /api/runs HTTP/1.1', 400, 'invalid_request'),
  target('a tab', 'GET\t/healthz\tHTTP/1.1', 400, 'invalid_request'),
  target('a NUL', 'GET /healthz\0 HTTP/1.1', 400, 'invalid_request'),
  target('a DEL', 'GET /healthz\x7f HTTP/1.1', 400, 'invalid_request'),
  target('a bare CR', 'GET /healthz\rX: 1 HTTP/1.1', 400, 'invalid_request'),
  target('another protocol', 'GET /healthz ICAP/1.0', 400, 'invalid_request'),
  target('no version', 'GET /healthz', 400, 'invalid_request'),
  target('HTTP/0.9', 'GET /healthz HTTP/0.9', 400, 'invalid_request'),
  target('HTTP/2.0', 'GET /healthz HTTP/2.0', 400, 'invalid_request'),
  target('HTTP/3.0', 'GET /healthz HTTP/3.0', 400, 'invalid_request'),
  target('HTTP/1.10', 'GET /healthz HTTP/1.10', 400, 'invalid_request'),
  target('http in lower case', 'GET /healthz http/1.1', 400, 'invalid_request'),
  target('the preface of HTTP/2', 'PRI * HTTP/2.0', 400, 'invalid_request'),
])

hostile(
  'a method',
  [
    ...['PUT', 'PATCH', 'DELETE', 'TRACE', 'POST'].flatMap((method) =>
      ['/healthz', '/metrics', '/api/runs', '/api/realtime/polling', '/api/sse/managed/connect'].map(
        (path) => ({
          name: `${method} ${path}`,
          method,
          path,
          status: 405,
          code: 'method_not_allowed',
        }),
      ),
    ),
    ...['PUT', 'PATCH', 'DELETE', 'TRACE'].flatMap((method) =>
      ['/api/sse', '/api/runs/r', '/api/sse/managed/broadcast', '/api/sse-proxy/relay/sse-emitter'].map(
        (path) => ({
          name: `${method} ${path}`,
          method,
          path,
          status: 405,
          code: 'method_not_allowed',
        }),
      ),
    ),
  ],
  ({ headers }) => expect(headers.allow).toMatch(/\b(GET|POST)\b/),
)

hostile('an unknown method', [
  ...['get', 'Get', 'HACK', 'G\0ET', 'G ET', '', 'GET/', 'OPTIONS\t'].map((method) => ({
    name: JSON.stringify(method),
    raw: `${method} /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
    status: 400,
    code: 'invalid_request',
  })),
  ...['PROPFIND', 'MKCOL', 'PURGE', 'SEARCH', 'QUERY', 'LINK', 'M-SEARCH', 'SOURCE'].map((method) => ({
    name: method,
    method,
    path: '/api/sse',
    status: 405,
    code: 'method_not_allowed',
  })),
])
