import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import type { LookupFunction } from 'node:net'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import { type LocalServer, serveHttp, serveTcp } from '../test/local-server.ts'
import { AddressPolicy } from './address-policy.ts'
import { classifyError } from './classify-error.ts'
import { OutboundClient, type OutboundClientOptions, type OutboundFetchInit } from './outbound-client.ts'
import { AddressRefusedError, OutboundError } from './outbound-error.ts'

const policy = new AddressPolicy({ allow: ['127.0.0.1', '*.test'] })
/** The names below `test` are where the servers are; all others are somewhere else on this machine. */
const lookup: LookupFunction = (hostname, _options, callback) =>
  callback(null, [{ address: hostname.endsWith('.test') ? '127.0.0.1' : '127.0.0.3', family: 4 }])

const newClient = (options: Partial<OutboundClientOptions> = {}): OutboundClient =>
  new OutboundClient({ policy, lookup, ...options })

/** A server that redirects `/` and tells what arrives anywhere else. */
const redirecting =
  (status: number, location: (path: string) => string | undefined): RequestListener =>
  (request, answer) => {
    const to = location(request.url ?? '')
    if (to !== undefined) {
      answer.writeHead(status, { location: to }).end('moved')
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      answer.end(
        JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() } satisfies Arrived),
      )
    })
  }

interface Arrived {
  method: string | undefined
  url: string | undefined
  headers: IncomingHttpHeaders
  body: string
}

type Call = (
  client: OutboundClient,
  url: string,
  init?: OutboundFetchInit,
) => Promise<{ status: number; text: string }>

const limitOf = () => ({ maxBytes: 1e6, overflow: 'error' }) as const

const byExchange: Call = async (client, url, { headers, body, ...init } = {}) => {
  const answer = await client.exchange({
    url,
    method: init.method,
    headers: Object.fromEntries(new Headers(headers as Record<string, string> | undefined)),
    body: body ?? undefined,
    signal: init.signal ?? undefined,
    limitOf,
  })
  return { status: answer.status, text: answer.bytes.toString() }
}
const byFetch: Call = async (client, url, init) => {
  const answer = await client.fetch(url, init)
  return { status: answer.status, text: await answer.text() }
}

async function refusal(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => 'no failure',
    (error: unknown) => classifyError(error),
  )
}

const REFUSED = { code: 'address_refused', message: 'The address may not be called' }
const startsAt = (to: string) => (path: string) => (path === '/' ? to : undefined)

describe.each([
  ['exchange', byExchange],
  ['fetch', byFetch],
] as const)('%s', (_name, call) => {
  it('brings an answer', async () => {
    await using server = await serveHttp((request, answer) => answer.writeHead(201).end(request.url))
    await using client = newClient()
    const answer = await call(client, `${server.origin}/a?b=c#d`)
    expect(answer).toMatchObject({ status: 201, text: '/a?b=c' })
  })

  it.each([
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [301, 'PUT', 'PUT', 'text'],
    [302, 'DELETE', 'DELETE', 'text'],
    [307, 'POST', 'POST', 'text'],
    [308, 'POST', 'POST', 'text'],
  ] as const)('follows a %i of a %s with a %s', async (status, method, then, body) => {
    await using server = await serveHttp(redirecting(status, startsAt('/next?x=1')))
    await using client = newClient()
    const init = { method, body: 'text', headers: { 'content-type': 'text/csv', 'x-kept': 'yes' } }
    const answer = await call(client, `${server.origin}/`, init)
    const arrived: Arrived = JSON.parse(answer.text)
    expect(arrived).toMatchObject({ method: then, url: '/next?x=1', body, headers: { 'x-kept': 'yes' } })
    expect(arrived.headers['content-type']).toBe(body === '' ? undefined : 'text/csv')
  })

  it('says who passed it on, also behind what its caller says of that and at each hop', async () => {
    await using server = await serveHttp(redirecting(307, startsAt('/next')))
    await using client = newClient({ via: '1.1 us' })
    const viaOf = async (path: string, headers: Record<string, string>) => {
      const arrived: Arrived = JSON.parse((await call(client, server.origin + path, { headers })).text)
      return arrived.headers.via
    }
    expect(await viaOf('/next', {})).toBe('1.1 us')
    expect(await viaOf('/next', { Via: '1.0 them' })).toBe('1.0 them, 1.1 us')
    expect(await viaOf('/', { via: '1.0 them' })).toBe('1.0 them, 1.1 us')
  })

  it('keeps a HEAD a HEAD', async () => {
    const methods: (string | undefined)[] = []
    await using server = await serveHttp((request, answer) => {
      methods.push(request.method)
      answer.writeHead(request.url === '/' ? 303 : 200, { location: '/next' }).end()
    })
    await using client = newClient()
    await call(client, `${server.origin}/`, { method: 'HEAD' })
    expect(methods).toEqual(['HEAD', 'HEAD'])
  })

  it('keeps credentials within an origin, and drops them for good on leaving it', async () => {
    await using server = await serveHttp(
      redirecting(307, (path) => {
        if (path === '/') return '/same'
        if (path === '/same') return `http://b.test:${server.port}/other`
        return path === '/other' ? `http://a.test:${server.port}/back` : undefined
      }),
    )
    await using client = newClient({ sensitiveHeaders: ['X-Api-Key'] })
    const headers = {
      Authorization: 'Bearer x',
      Cookie: 'a=b',
      'Proxy-Authorization': 'Basic x',
      'x-api-key': 'x',
      'x-other': 'kept',
    }
    const same: Arrived = JSON.parse(
      (await call(client, `http://a.test:${server.port}/end`, { headers })).text,
    )
    expect(same.headers).toMatchObject({ authorization: 'Bearer x', cookie: 'a=b', 'x-api-key': 'x' })
    const back: Arrived = JSON.parse((await call(client, `http://a.test:${server.port}/`, { headers })).text)
    expect(back).toMatchObject({
      url: '/back',
      headers: { 'x-other': 'kept', host: `a.test:${server.port}` },
    })
    for (const name of ['authorization', 'cookie', 'proxy-authorization', 'x-api-key']) {
      expect(back.headers).not.toHaveProperty(name)
    }
  })

  it.each([
    'http://127.0.0.2/',
    'http://127.1.1/',
    'http://2130706434/',
    'http://0x7f.2/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.2]/',
    'http://169.254.169.254/latest/meta-data/',
    '//169.254.169.254/',
    'http://0/',
    'http://evil.example/',
    'https://localhost/',
  ])('refuses a redirect to %s', async (location) => {
    await using server = await serveHttp(redirecting(302, startsAt(location)))
    await using client = newClient()
    expect(await refusal(call(client, `${server.origin}/`))).toEqual(REFUSED)
  })

  it.each([
    'file:///etc/passwd',
    'ftp://a.test/',
    'data:text/plain,x',
    'javascript:alert(1)',
    'gopher://a.test/',
  ])('refuses a redirect to %s, and to be asked for it', async (location) => {
    await using server = await serveHttp(redirecting(302, startsAt(location)))
    await using client = newClient()
    const refused = { code: 'address_refused', message: 'Only http and https addresses may be called' }
    expect(await refusal(call(client, `${server.origin}/`))).toEqual(refused)
    expect(await refusal(call(client, location))).toEqual(refused)
  })

  it('refuses a user name or password, also in a redirect', async () => {
    await using server = await serveHttp(redirecting(302, startsAt(`http://user@a.test/`)))
    await using client = newClient()
    for (const url of [`${server.origin}/`, 'http://user@a.test/', 'http://:pass@a.test/']) {
      expect(await refusal(call(client, url)), url).toMatchObject({ code: 'address_refused' })
    }
  })

  it('follows five redirects and no sixth', async () => {
    await using server = await serveHttp(
      redirecting(302, (path) => (path.length <= 6 ? `${path}x` : undefined)),
    )
    await using client = newClient()
    expect(JSON.parse((await call(client, `${server.origin}/x`)).text)).toMatchObject({ url: '/xxxxxx' })
    const tooMany = { code: 'task_failed', message: 'Too many redirects' }
    expect(await refusal(call(client, `${server.origin}/`))).toEqual(tooMany)
  })

  it('hands redirects over where none are followed, and those that lead nowhere', async () => {
    await using server = await serveHttp(redirecting(302, startsAt('/next')))
    await using still = newClient({ maxRedirects: 0 })
    expect(await call(still, `${server.origin}/`)).toMatchObject({ status: 302, text: 'moved' })
    await using nowhere = await serveHttp((_, answer) => answer.writeHead(302).end('where?'))
    await using client = newClient()
    expect(await call(client, nowhere.origin)).toMatchObject({ status: 302, text: 'where?' })
  })

  it('fails on what is no URL', async () => {
    await using client = newClient()
    expect(await refusal(call(client, 'nonsense'))).toEqual({ code: 'task_failed', message: 'Invalid URL' })
  })

  it('is aborted while it waits for an answer', async () => {
    const controller = new AbortController()
    await using server = await serveTcp((socket) => socket.on('data', () => controller.abort()))
    await using client = newClient()
    expect(await refusal(call(client, server.origin, { signal: controller.signal }))).toEqual({
      code: 'cancelled',
      message: 'Cancelled',
    })
  })

  it('is aborted while it connects, at once and with the given reason', async () => {
    const controller = new AbortController()
    const reason = new OutboundError('deadline_exceeded', 'Deadline exceeded')
    await using client = newClient({ lookup: () => queueMicrotask(() => controller.abort(reason)) })
    await expect(call(client, 'http://slow.test/', { signal: controller.signal })).rejects.toBe(reason)
  })

  it('fails while it connects when the client is closed', async () => {
    const client = newClient({ lookup: () => queueMicrotask(() => void client.close()) })
    expect(await refusal(call(client, 'http://slow.test/'))).toMatchObject({ code: 'cancelled' })
  })

  it('does not begin where it was aborted before', async () => {
    const looked = vi.fn<LookupFunction>()
    await using client = newClient({ lookup: looked })
    expect(await refusal(call(client, 'http://a.test/', { signal: AbortSignal.abort() }))).toMatchObject({
      code: 'cancelled',
    })
    expect(looked).not.toHaveBeenCalled()
  })

  it('fails once the client is closed, and so does what was open', async () => {
    let open = (): void => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    await using server: LocalServer = await serveHttp((request, answer) => {
      if (request.url === '/body') answer.write('half')
      else open()
    })
    const client = newClient()
    const body = call(client, `${server.origin}/body`).catch(classifyError)
    const answer = call(client, server.origin).catch(classifyError)
    await opened
    await client.close()
    await client.close()
    const after = call(client, server.origin).catch(classifyError)
    expect(await Promise.all([body, answer, after])).toMatchObject(Array(3).fill({ code: 'cancelled' }))
  })
})

describe('an outbound client', () => {
  it('looks a name up once for many requests on one connection', async () => {
    await using server = await serveHttp((_, answer) => answer.end('x'))
    const looked = vi.fn<LookupFunction>(lookup)
    await using client = newClient({ lookup: looked, connectionsPerOrigin: 1 })
    await Promise.all(Array.from({ length: 20 }, () => byExchange(client, `http://a.test:${server.port}/`)))
    expect(looked).toHaveBeenCalledTimes(1)
  })

  it('refuses with its own error', async () => {
    await using client = newClient()
    await expect(client.exchange({ url: 'http://127.0.0.2/', limitOf })).rejects.toThrow(AddressRefusedError)
  })

  it('ends a request whose time is up before the answer', async () => {
    const clock = new FakeClock()
    await using server = await serveTcp((socket) => socket.on('data', () => clock.advance(500)))
    await using client = newClient({ clock })
    const call = client.exchange({ url: server.origin, timeoutMs: 500, limitOf })
    expect(await refusal(call)).toEqual({ code: 'task_timeout', message: 'Task timeout' })
    expect(clock.timerCount).toBe(0)
  })

  it('ends a body whose time is up', async () => {
    const clock = new FakeClock()
    await using server = await serveHttp((_, answer) => void answer.write('half'))
    await using client = newClient({ clock })
    const onBytes = () => clock.advance(500)
    const call = client.exchange({ url: server.origin, timeoutMs: 500, limitOf, onBytes })
    expect(await refusal(call)).toEqual({ code: 'task_timeout', message: 'Task timeout' })
  })

  it('ends a request that waits for a connection', async () => {
    const clock = new FakeClock()
    await using server = await serveHttp((_, answer) => void answer.write('endless'))
    await using client = newClient({ clock, connectionsPerOrigin: 1 })
    const begun = Promise.withResolvers<void>()
    const first = client.exchange({ url: server.origin, limitOf, onBytes: () => begun.resolve() })
    first.catch(() => undefined)
    await begun.promise
    const second = client.exchange({ url: server.origin, timeoutMs: 500, limitOf })
    clock.advance(500)
    expect(await refusal(second)).toEqual({ code: 'task_timeout', message: 'Task timeout' })
  })

  it('counts one time limit over all redirects', async () => {
    const clock = new FakeClock()
    await using server = await serveHttp((_, answer) => {
      clock.advance(200)
      answer.writeHead(302, { location: '/' }).end()
    })
    await using client = newClient({ clock })
    expect(await refusal(client.exchange({ url: server.origin, timeoutMs: 500, limitOf }))).toMatchObject({
      code: 'task_timeout',
    })
  })

  it('lets go of its timer once a body has ended, and hears of aborts through one listener a signal', async () => {
    const clock = new FakeClock()
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    await using server = await serveHttp((_, answer) => answer.end('x'))
    await using client = newClient({ clock })
    const call = () => client.exchange({ url: server.origin, timeoutMs: 500, signal, limitOf })
    await Promise.all([call(), call()])
    await call()
    expect(clock.timerCount).toBe(0)
    expect(added).toHaveBeenCalledTimes(1)
  })

  it('aborts with an error where the reason is none', async () => {
    const controller = new AbortController()
    await using server = await serveHttp((_, answer) => void answer.write('half'))
    await using client = newClient()
    const onBytes = () => controller.abort('no longer wanted')
    const call = client.exchange({ url: server.origin, signal: controller.signal, limitOf, onBytes })
    await expect(call).rejects.toMatchObject({ code: 'cancelled', cause: 'no longer wanted' })
  })

  it('leaves the headers that one request calls secret behind on leaving its origin', async () => {
    await using server = await serveHttp(
      redirecting(307, (path) => (path === '/' ? `http://b.test:${server.port}/other` : undefined)),
    )
    await using client = newClient()
    const { bytes } = await client.exchange({
      url: `http://a.test:${server.port}/`,
      headers: { 'X-Key': 'secret', 'x-other': 'kept' },
      secretHeaders: ['x-key'],
      limitOf,
    })
    const arrived: Arrived = JSON.parse(bytes.toString())
    expect(arrived.headers).toMatchObject({ 'x-other': 'kept' })
    expect(arrived.headers).not.toHaveProperty('x-key')
  })

  it('follows a redirect with a secret body within its origin, and none that takes it to another', async () => {
    const arrived: string[] = []
    const listener = redirecting(308, (path) => (path === '/' ? '/same' : undefined))
    await using server: LocalServer = await serveHttp((request, answer) => {
      arrived.push(`${request.headers.host} ${request.url}`)
      if (request.url === '/away') answer.writeHead(307, { location: `http://b.test:${server.port}/` }).end()
      else listener(request, answer)
    })
    await using client = newClient()
    const base = `http://a.test:${server.port}`
    const post = (path: string) =>
      client.exchange({ url: base + path, method: 'POST', body: 'secret', secretBody: true, limitOf })
    expect(JSON.parse((await post('/')).bytes.toString())).toMatchObject({ body: 'secret' })
    expect(await refusal(post('/away'))).toMatchObject({ code: 'secret_refused' })
    expect(arrived).toEqual(['/', '/same', '/away'].map((path) => `a.test:${server.port} ${path}`))
  })

  it('streams a body by fetch', async () => {
    await using server = await serveHttp((_, answer) => void answer.write('data: 1\n\n'))
    await using client = newClient()
    const { fetch } = client
    const answer = await fetch(server.origin)
    const reader = answer.body?.getReader()
    const first = await reader?.read()
    expect(Buffer.from(first?.value).toString()).toBe('data: 1\n\n')
    await reader?.cancel()
  })
})
