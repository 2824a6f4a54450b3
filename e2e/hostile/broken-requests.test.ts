import { expect } from 'vitest'
import { sendBytes } from './answer.ts'
import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { tokenOf } from './tokens.ts'

const SEND = '/api/sse/managed/broadcast'
const hostile = inHostileWorld()

/** A POST by hand, of who may send, so that it would be done if it were understood. */
function post(lines: readonly string[], body: string, path = SEND): string {
  const head = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', `Authorization: Bearer ${tokenOf('publisher')}`]
  return `${[...head, ...lines].join('\r\n')}\r\n\r\n${body}`
}
const JSON_TYPE = 'Content-Type: application/json'
const SMUGGLED = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

/** Answered once and hung up on: what stands behind is never taken for another request. */
const refusedOnce = (name: string, lines: readonly string[], body: string): HostileCase => ({
  name,
  request: async ({ gateway }) => {
    const answer = await sendBytes(gateway.url, post([JSON_TYPE, ...lines], body), { untilClosed: true })
    expect(answer.raw.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(1)
    return answer
  },
  status: 400,
  code: 'invalid_request',
})

hostile('the length of a body', [
  refusedOnce('twice, different', ['Content-Length: 2', 'Content-Length: 40'], `{}${SMUGGLED}`),
  refusedOnce('twice, the same', ['Content-Length: 2', 'Content-Length: 2'], `{}${SMUGGLED}`),
  refusedOnce('as a list', ['Content-Length: 2, 2'], `{}${SMUGGLED}`),
  refusedOnce('negative', ['Content-Length: -1'], `{}${SMUGGLED}`),
  refusedOnce('with a plus', ['Content-Length: +2'], `{}${SMUGGLED}`),
  refusedOnce('in hex', ['Content-Length: 0x2'], `{}${SMUGGLED}`),
  refusedOnce('with a point', ['Content-Length: 2.0'], `{}${SMUGGLED}`),
  refusedOnce('in words', ['Content-Length: two'], `{}${SMUGGLED}`),
  refusedOnce('of nothing', ['Content-Length: '], `{}${SMUGGLED}`),
  refusedOnce('with a space inside', ['Content-Length: 2 0'], `{}${SMUGGLED}`),
  refusedOnce('past 64 bits', ['Content-Length: 18446744073709551618'], `{}${SMUGGLED}`),
  refusedOnce('and chunks', ['Content-Length: 2', 'Transfer-Encoding: chunked'], `0\r\n\r\n${SMUGGLED}`),
  refusedOnce('after chunks', ['Transfer-Encoding: chunked', 'Content-Length: 2'], `0\r\n\r\n${SMUGGLED}`),
  refusedOnce('with a space before its colon', ['Content-Length : 2'], `{}${SMUGGLED}`),
])

const chunked = (name: string, body: string, line = 'Transfer-Encoding: chunked') =>
  refusedOnce(name, [line], body)

hostile('chunks', [
  chunked('of a size that is no number', `zz\r\n{}\r\n0\r\n\r\n${SMUGGLED}`),
  chunked('of a negative size', `-2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`),
  chunked('of a size with 0x', `0x2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`),
  chunked('of a size past 64 bits', `fffffffffffffffff\r\n{}\r\n0\r\n\r\n`),
  chunked('of no size', `\r\n{}\r\n0\r\n\r\n${SMUGGLED}`),
  chunked('of a size with a space before', ` 2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`),
  chunked('longer than they say', `2\r\n{}xx\r\n0\r\n\r\n${SMUGGLED}`),
  chunked('ended by LF alone', `2\n{}\n0\n\n${SMUGGLED}`),
  chunked('ended by CR alone', `2\r{}\r0\r\r${SMUGGLED}`),
  chunked('with NUL in an extension', `2;a=\0\r\n{}\r\n0\r\n\r\n${SMUGGLED}`),
  chunked('of another coding too', `0\r\n\r\n${SMUGGLED}`, 'Transfer-Encoding: chunked, identity'),
  chunked('of a coding that is none', `0\r\n\r\n${SMUGGLED}`, 'Transfer-Encoding: xchunked'),
  chunked('of a coding with a tab', `0\r\n\r\n${SMUGGLED}`, 'Transfer-Encoding:\tchunked\x0b'),
  chunked('with a space before the colon', `0\r\n\r\n${SMUGGLED}`, 'Transfer-Encoding : chunked'),
  chunked('twice coded', `0\r\n\r\n${SMUGGLED}`, 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x'),
])

const headed = (name: string, line: string) => ({
  name,
  raw: `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n${line}\r\n\r\n`,
  status: 400,
  code: 'invalid_request',
})

hostile('a header', [
  headed('folded', 'X-A: 1\r\n  folded'),
  headed('folded by a tab', 'X-A: 1\r\n\tfolded'),
  headed('without a colon', 'X-A'),
  headed('without a name', ': 1'),
  headed('with a space before', ' X-A: 1'),
  headed('with a space in its name', 'X A: 1'),
  headed('with a space before its colon', 'X-A : 1'),
  headed('with brackets in its name', 'X[A]: 1'),
  headed('with a letter that is not ASCII', 'X-Ä: 1'),
  headed('with NUL in its name', 'X\0A: 1'),
  headed('with NUL in its value', 'X-A: 1\x002'),
  headed('with a bare CR', 'X-A: 1\r2'),
  headed('ended by LF alone', 'X-A: 1\nX-B: 2'),
  headed('with DEL in its value', 'X-A: \x7f'),
  headed('with BEL in its value', 'X-A: \x07'),
  { ...headed('Host twice', 'Host: evil.example') },
  { name: 'Host missing', raw: 'GET /healthz HTTP/1.1\r\n\r\n', status: 400, code: 'invalid_request' },
  {
    name: 'of 40 KB',
    path: '/healthz',
    headers: { 'X-A': 'a'.repeat(40_000) },
    status: 431,
    code: 'headers_too_large',
  },
  {
    name: 'Expect of something',
    path: '/healthz',
    headers: { Expect: 'a-miracle' },
    status: 417,
    code: 'expectation_failed',
  },
  {
    name: 'Upgrade to a WebSocket',
    path: '/healthz',
    headers: { Connection: 'Upgrade', Upgrade: 'websocket' },
    status: 200,
  },
  {
    name: 'Upgrade to HTTP/2',
    path: '/healthz',
    headers: { Connection: 'Upgrade', Upgrade: 'h2c' },
    status: 200,
  },
])

const typed = (type: string, body: string | Uint8Array = '{"data":1}'): HostileCase => ({
  name: type === '' ? 'none' : type,
  as: 'publisher',
  path: SEND,
  headers: { 'Content-Type': type },
  body,
  status: 415,
  code: 'unsupported_media_type',
})

hostile('a content type', [
  ...[
    '',
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/json5',
    'application/jsonp',
    'application/x-ndjson',
    'application/octet-stream',
    'application',
    '*/*',
    'text/plain, application/json',
    'application/ json',
    'json',
    ';',
  ].map((type) => typed(type)),
  ...['gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'x'].map((coding) => ({
    ...typed('application/json'),
    name: `coded as ${coding}`,
    headers: { 'Content-Encoding': coding },
  })),
])

const deep = (levels: number, open: string, close: string) => `${open.repeat(levels)}1${close.repeat(levels)}`
const says = (name: string, body: string | Uint8Array, code = 'invalid_json', path = SEND): HostileCase => ({
  name,
  as: 'publisher',
  path,
  body,
  status: 400,
  code,
})
const utf = (text: string, encoding: BufferEncoding) => Buffer.from(text, encoding)

hostile('JSON', [
  says('of nothing', ''),
  says('of white space', ' \t\r\n'),
  says('cut off', '{"data":'),
  says('cut off in a string', '{"data":"'),
  says('cut off in an escape', '{"data":"\\u00'),
  says('of two values', '{"data":1}{"data":2}'),
  says('with a comma behind', '{"data":1,}'),
  says('with a comment', '{"data":1}//'),
  says('in single quotes', "{'data':1}"),
  says('without quotes', '{data:1}'),
  says('of NaN', '{"data":NaN}'),
  says('of Infinity', '{"data":-Infinity}'),
  says('of undefined', 'undefined'),
  says('of a hex number', '{"data":0x10}'),
  says('of a number with a zero before', '{"data":01}'),
  says('with a line end in a string', '{"data":"a\nb"}'),
  says('with NUL in a string', '{"data":"a\0b"}'),
  says('with NUL behind', '{"data":1}\0'),
  says('behind a prefix', ")]}'\n{}"),
  says('in UTF-16', utf('\ufeff{"data":1}', 'utf16le')),
  says('in UTF-16 without a mark', utf('{"data":1}', 'utf16le')),
  says('of __proto__', '{"__proto__":{"roles":["admin"]}}', 'invalid_request'),
  says('of __proto__ within', '{"data":{"a":[{"__proto__":1}]}}', 'invalid_request'),
  says('of an escaped __proto__', '{"\\u005f\\u005fproto__":1}', 'invalid_request'),
  says('of constructor.prototype', '{"constructor":{"prototype":{"a":1}}}', 'invalid_request'),
  says('201 lists deep', deep(201, '[', ']'), 'invalid_request'),
  says('10,000 lists deep', deep(10_000, '[', ']'), 'invalid_request'),
  says('10,000 objects deep', deep(10_000, '{"a":', '}'), 'invalid_request'),
  says('400,000 lists deep', deep(400_000, '[', ']'), 'invalid_request'),
  says('of a key that nobody knows', '{"event":"x","admin":true}', 'invalid_request'),
  says('whose last event is none', '{"event":"x","event":1}', 'invalid_request'),
  says('whose last event splits', '{"event":"x","event":"a\\nb"}', 'invalid_request'),
  says(
    'of an audience of __proto__',
    '{"event":"x","userIds":{"__proto__":1}}',
    'invalid_request',
    '/api/sse',
  ),
  says('of an audience of text', '{"event":"x","userIds":"all"}', 'invalid_request', '/api/sse'),
  says('of where that is a list', '{"event":"x","where":[1]}', 'invalid_request', '/api/sse'),
  says('of where that nests', '{"event":"x","where":{"a":{"$ne":1}}}', 'invalid_request', '/api/sse'),
  says(
    'of 10,001 users',
    JSON.stringify({ event: 'x', userIds: Array.from({ length: 10_001 }, (_, n) => `u${n}`) }),
    'invalid_request',
    '/api/sse',
  ),
  says('of a list of lists of 500 KB', `[${'[],'.repeat(170_000)}[]]`, 'invalid_request', '/api/sse'),
  { ...says('of 2 MB', `{"data":"${'x'.repeat(2_000_000)}"}`), status: 413, code: 'payload_too_large' },
  {
    ...says('of an event of 200 KB', `{"data":"${'x'.repeat(200_000)}"}`),
    status: 413,
    code: 'event_too_large',
  },
  { ...says('of 100,000 keys', `{"data":${manyKeys(100_000)}}`), status: 413, code: 'payload_too_large' },
])

function manyKeys(count: number): string {
  return JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, n) => [`key${n}`, n])))
}
