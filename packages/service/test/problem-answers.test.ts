import { once } from 'node:events'
import { connect } from 'node:net'
import { PROBLEM_CONTENT_TYPE } from '@tributary/protocol'
import { request } from 'undici'
import { describe, expect, test } from 'vitest'
import { sendRaw, serve } from './service-under-test.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

async function ask(url: string, options: Parameters<typeof request>[1] = {}) {
  const answer = await request(url, options)
  const text = await answer.body.text()
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    body: text === '' ? undefined : JSON.parse(text),
  }
}

const post = (body: string, headers: Record<string, string> = JSON_TYPE) => ({
  method: 'POST' as const,
  body,
  headers,
})

function expectProblem(answer: Awaited<ReturnType<typeof ask>>, status: number, code: string) {
  expect(answer.body).toMatchObject({ status, code, type: `urn:tributary:problem:${code}` })
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toBe(PROBLEM_CONTENT_TYPE)
}

describe('a body that the schema refuses', () => {
  const faults: [string, unknown, string, string][] = [
    ['a missing key', {}, 'body/tasks', 'is required'],
    ['an empty list', { tasks: [] }, 'body/tasks', 'must not be empty'],
    [
      'an unknown key',
      { tasks: ['a'], tsaks: 1 },
      'body/tsaks',
      'is not a known key; the keys are tasks, count, mode, event',
    ],
    ['a number as text', { tasks: ['a'], count: '5' }, 'body/count', 'must be a whole number'],
    ['a number out of range', { tasks: ['a'], count: 11 }, 'body/count', 'must be at most 10'],
    ['a word that is no choice', { tasks: ['a'], mode: 'x' }, 'body/mode', 'must be one of "fast", "slow"'],
    [
      'text that does not match',
      { tasks: ['a'], event: 'A' },
      'body/event',
      'must match ^[a-z]+$ (Letters only)',
    ],
    [
      'a wrong value in the form that was meant',
      { tasks: ['a', { url: 5 }] },
      'body/tasks/1/url',
      'must be a string',
    ],
    [
      'an unknown key in the form that was meant',
      { tasks: [{ url: 'u', nmae: 1 }] },
      'body/tasks/0/nmae',
      'is not a known key; the keys are url, timeoutMs',
    ],
    ['an empty string as a form', { tasks: [''] }, 'body/tasks/0', 'must not be empty'],
    ['a value of no form', { tasks: [5] }, 'body/tasks/0', 'must be a string or an object'],
  ]
  test.each(faults)('is told of %s', async (_name, body, path, message) => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/tasks`, post(JSON.stringify(body)))
    expectProblem(answer, 400, 'invalid_request')
    expect(answer.body.errors).toEqual([{ path, message }])
    expect(answer.body.detail).toBe(`${path} ${message}.`)
  })

  test('is told of each form that it may have meant', async () => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/tasks`, post('{"tasks":[{}]}'))
    expectProblem(answer, 400, 'invalid_request')
    expect(answer.body.detail).toBe('body/tasks/0/url is required, or body/tasks/0/name is required.')
  })
})

describe('a body that cannot be read', () => {
  const bodies: [string, string, Record<string, string>, number, string, RegExp][] = [
    ['is not JSON', '{"a":', JSON_TYPE, 400, 'invalid_json', /cannot be read as JSON/],
    ['is empty', '', JSON_TYPE, 400, 'invalid_json', /is empty; POST \/api\/tasks needs JSON/],
    ['did not come', '', {}, 400, 'invalid_request', /needs a body/],
    ['poisons the prototype', '{"__proto__":{"x":1}}', JSON_TYPE, 400, 'invalid_request', /__proto__/],
    [
      'poisons the constructor',
      '{"constructor":{"prototype":{}}}',
      JSON_TYPE,
      400,
      'invalid_request',
      /constructor/,
    ],
    [
      'is a form',
      'a=1',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'unsupported_media_type',
      /application\/json; it came as application\/x-www/,
    ],
    ['is text', '{}', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type', /application\/json/],
    [
      'is compressed',
      '{}',
      { ...JSON_TYPE, 'content-encoding': 'gzip' },
      415,
      'unsupported_media_type',
      /without Content-Encoding/,
    ],
    ['has no type', '{}', {}, 415, 'unsupported_media_type', /without a Content-Type/],
    ['has a broken type', '{}', { 'content-type': 'json' }, 415, 'unsupported_media_type', /it came as json/],
  ]
  test.each(bodies)('is refused where it %s', async (_name, body, headers, status, code, detail) => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/tasks`, post(body, headers))
    expectProblem(answer, status, code)
    expect(answer.body.detail).toMatch(detail)
  })

  test('may be empty where the route takes none', async () => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/runs/r/cancel`, post(''))
    expect(answer.body).toEqual({ cancelled: true })
  })

  test('of ten megabytes is a 413 that says the limit, and the connection goes on', async () => {
    const { url } = await serve()
    const body = JSON.stringify({ tasks: ['x'.repeat(10_000_000)] })
    const answer = await ask(`${url}/api/tasks`, post(body))
    expectProblem(answer, 413, 'payload_too_large')
    expect(answer.body.detail).toContain('1048576 bytes')
  })

  test('that is too large in chunks is a 413', async () => {
    const { url } = await serve({ bodyLimit: 100 })
    const body = new Blob(['x'.repeat(70_000), 'x'.repeat(70_000)]).stream()
    const answer = await fetch(`${url}/api/tasks`, {
      method: 'POST',
      body,
      headers: JSON_TYPE,
      duplex: 'half',
    })
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({ code: 'payload_too_large' })
  })

  test('that is cut off is a 400 to a sender who still listens', async () => {
    const { port } = await serve()
    const head =
      'POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n'
    const answer = await sendRaw(port, `${head}{"tasks"`, { halfClose: true })
    expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/)
    expect(answer).toContain(`Content-Type: ${PROBLEM_CONTENT_TYPE}`)
    expect(answer).toContain('"code":"invalid_request"')
    expect(answer).toContain('cut off')
    expect(answer.match(/HTTP\/1.1/g)).toHaveLength(1)
  })

  test('whose sender goes away is no error of the server', async () => {
    const { port, url, log } = await serve()
    const socket = connect({ host: '127.0.0.1', port })
    socket.write(
      'POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    )
    await once(socket, 'connect')
    await ask(`${url}/healthz`)
    socket.resetAndDestroy()
    await expect.poll(() => log.some(({ msg }) => msg === 'request refused')).toBe(true)
    expect(log.filter(({ level }) => Number(level) >= 50)).toEqual([])
  })
})

describe('query and parameters', () => {
  test('become what the schema asks for', async () => {
    const { url } = await serve()
    expect((await ask(`${url}/api/things/12?on=true`)).body).toEqual({ id: 12, size: 7, on: true })
  })

  test.each([
    ['/api/things/x', 'path/id', 'must be a whole number'],
    ['/api/things/1?size=big', 'query/size', 'must be a whole number'],
    ['/api/things/1?on=maybe', 'query/on', 'must be true or false'],
    ['/api/things/1?size=1&size=2', 'query/size', 'must be a whole number'],
  ])('%s is refused', async (path, where, message) => {
    const { url } = await serve()
    const answer = await ask(url + path)
    expectProblem(answer, 400, 'invalid_request')
    expect(answer.body.errors).toEqual([{ path: where, message }])
  })
})

describe('a path', () => {
  test('that is not there is a 404 that names it, without its query, and needs no token', async () => {
    const { url } = await serve({ trustLoopback: false })
    const answer = await ask(`${url}/api/nothing?token=t`)
    expectProblem(answer, 404, 'not_found')
    expect(answer.body.detail).toContain('GET /api/nothing;')
  })

  test('that is not there is a 404 whatever the body', async () => {
    const { url } = await serve()
    expectProblem(await ask(`${url}/api/nothing`, post('{')), 404, 'not_found')
  })

  test.each([
    ['DELETE', '/api/tasks', 'OPTIONS, POST'],
    ['GET', '/api/tasks', 'OPTIONS, POST'],
    ['HEAD', '/api/tasks', 'OPTIONS, POST'],
    ['POST', '/api/things/1', 'GET, HEAD, OPTIONS'],
    ['PUT', '/healthz', 'GET, HEAD, OPTIONS'],
  ] as const)('without the method %s %s is a 405 with Allow', async (method, path, allow) => {
    const { url } = await serve()
    const answer = await request(url + path, { method })
    const text = await answer.body.text()
    expect(answer.statusCode).toBe(405)
    expect(answer.headers['allow']).toBe(allow)
    expect(answer.headers['content-type']).toBe(PROBLEM_CONTENT_TYPE)
    expect(text).toBe(method === 'HEAD' ? '' : text)
    if (method !== 'HEAD') expect(JSON.parse(text)).toMatchObject({ code: 'method_not_allowed' })
  })

  test('without an unusual method is a 405 as well', async () => {
    const { port } = await serve()
    const answer = await sendRaw(
      port,
      'PROPFIND /api/tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1.1 405 /)
    expect(answer).toMatch(/allow: OPTIONS, POST/i)
  })

  test('answers OPTIONS with what it allows, and HEAD without a body', async () => {
    const { url } = await serve()
    const options = await ask(`${url}/api/things/1`, { method: 'OPTIONS' })
    expect([options.status, options.headers['allow'], options.text]).toEqual([204, 'GET, HEAD, OPTIONS', ''])
    const head = await ask(`${url}/api/things/1`, { method: 'HEAD' })
    expect([head.status, head.text]).toEqual([200, ''])
    expectProblem(await ask(`${url}/nowhere`, { method: 'OPTIONS' }), 404, 'not_found')
  })

  test('of the whole server answers OPTIONS', async () => {
    const { port } = await serve()
    const answer = await sendRaw(port, 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 204 /)
    expect(answer).toMatch(/allow: GET, HEAD, OPTIONS, POST/i)
  })

  test('that expects what nobody can meet is a 417, and the connection goes on', async () => {
    const { port } = await serve()
    const ask = (more: string) => `GET /healthz HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
    const answer = await sendRaw(port, ask('Expect: a miracle\r\n') + ask('Connection: close\r\n'))
    expect(answer).toMatch(/^HTTP\/1.1 417 /)
    expect(answer).toContain('"code":"expectation_failed"')
    expect(answer).toContain('leave out \\"a miracle\\"')
    expect(answer).toContain('HTTP/1.1 200 ')
  })

  test('that is not percent-encoded UTF-8 is a 400', async () => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/%ff`)
    expectProblem(answer, 400, 'invalid_request')
    expect(answer.body.detail).toContain('percent-encoded')
  })

  test('with a part that is too long is a 414', async () => {
    const { url } = await serve()
    expectProblem(await ask(`${url}/api/things/${'1'.repeat(2000)}`), 414, 'uri_too_long')
  })
})

describe('an error in a handler', () => {
  test('that nobody foresaw is a 500 that tells nothing, and is logged with its reason', async () => {
    const { url, log } = await serve()
    const answer = await ask(`${url}/api/broken`)
    expectProblem(answer, 500, 'internal_error')
    expect(answer.text).not.toContain('secret reason')
    expect(log.find(({ msg }) => msg === 'request failed')).toMatchObject({
      level: 50,
      err: { message: 'secret reason' },
    })
  })

  test('that is a problem brings its headers and Retry-After', async () => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/busy`)
    expectProblem(answer, 503, 'overloaded')
    expect(answer.headers).toMatchObject({ 'retry-after': '3', 'x-why': 'load' })
  })
})

describe('what is no HTTP request', () => {
  const long = 'x'.repeat(40_000)
  test.each([
    ['noise', 'hello\r\n\r\n', 400, 'invalid_request'],
    ['a broken header', 'GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n', 400, 'invalid_request'],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'invalid_request'],
    [
      'two lengths',
      'POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'invalid_request',
    ],
    [
      'headers that are too large',
      `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${long}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['an address that is too long', `GET /${long} HTTP/1.1\r\nHost: x\r\n\r\n`, 414, 'uri_too_long'],
  ])('gets a problem for %s', async (_name, text, status, code) => {
    const { port } = await serve()
    const answer = await sendRaw(port, text)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer.toLowerCase()).toContain(`content-type: ${PROBLEM_CONTENT_TYPE}`)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ status, code })
  })

  test('gets a 408 where it takes too long', async () => {
    const { port } = await serve({ headersTimeoutMs: 100, requestTimeoutMs: 200 })
    const answer = await sendRaw(port, 'GET / HTTP/1.1\r\nHost: x\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
    expect(answer).toContain('"code":"request_timeout"')
  })

  test('breaks a stream off rather than writing into it', async () => {
    const { port } = await serve({
      routes: (app) => {
        app.get('/stream', (_request, reply) => {
          reply.hijack()
          reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
          reply.raw.write('data: 1\n\n')
        })
      },
    })
    const socket = connect({ host: '127.0.0.1', port })
    let text = ''
    socket.on('data', (chunk) => {
      if (text === '') socket.write('noise\r\n\r\n')
      text += String(chunk)
    })
    socket.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(socket, 'close')
    expect(text).toContain('data: 1')
    expect(text.match(/HTTP\/1.1/g)).toHaveLength(1)
  })

  test('spares a stream that outlasts requestTimeout', async () => {
    const { url } = await serve({
      headersTimeoutMs: 100,
      requestTimeoutMs: 100,
      routes: (app) => {
        app.get('/stream', (_request, reply) => {
          reply.hijack()
          reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
          reply.raw.write('data: 1\n\n')
          setTimeout(() => reply.raw.end('data: 2\n\n'), 1500)
        })
      },
    })
    expect(await (await fetch(`${url}/stream`)).text()).toBe('data: 1\n\ndata: 2\n\n')
  })
})
