import { once } from 'node:events'
import { createServer } from 'node:http'
import { SignJWT } from 'jose'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startGateway } from '../services.ts'
import { Chromium, findChromium } from './chromium.ts'

const { executable, reason } = findChromium()
if (reason !== undefined) process.stderr.write(`the tests of sessions in a browser are skipped: ${reason}\n`)

const SECRET = 'a secret of thirty-two characters'
const CONNECT = '/api/sse/managed/connect'
const BROADCAST = '/api/sse/managed/broadcast'

/** A page of another origin. Its host is the gateway's, so the browser sends it the same cookies. */
async function servePage(): Promise<string> {
  const server = createServer((_, response) =>
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>Another</title>'),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : ''
}

describe.skipIf(executable === undefined)('a session in a browser', () => {
  const owned = new AsyncDisposableStack()
  let gateway: Awaited<ReturnType<typeof startGateway>>
  let chromium: Chromium
  let page: Page

  /** What was asked, and what it was answered with. */
  const log: { asked: string; status: number }[] = []
  const logTo = {
    write: (line: string) => {
      const { req, res } = JSON.parse(line)
      if (res !== undefined) log.push({ asked: `${req.method} ${req.url}`, status: res.statusCode })
    },
  }

  const start = async (env: Record<string, string> = {}) => {
    // A GET that starts a run is there outside production alone.
    const base = { NODE_ENV: 'test', LOG_LEVEL: 'info', AUTH_JWT_SECRET: SECRET }
    return owned.use(await startGateway({ logTo, env: { ...base, ...env } }))
  }

  /** Signs in at a gateway from a page of its own, whose cookie the browser keeps. */
  const signIn = async (url: string): Promise<Page> => {
    const token = await new SignJWT({ sub: 'ann', roles: ['admin'] })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(SECRET))
    const own = await chromium.context.newPage()
    await own.goto(`${url}/sse-client.html`)
    const signedIn = await own.evaluate(async (bearer) => {
      // Cookies know no ports: there may be one of another gateway here, which would decide.
      await fetch('/api/auth/session', { method: 'DELETE' })
      const headers = { authorization: `Bearer ${bearer}` }
      const answer = await fetch('/api/auth/session', { method: 'POST', headers })
      return [answer.status, await answer.json(), document.cookie]
    }, token)
    // No script sees it.
    expect(signedIn).toEqual([200, { userId: 'ann', expiresAt: expect.any(Number) }, ''])
    return own
  }

  beforeAll(async () => {
    chromium = owned.use(await Chromium.launch(executable ?? ''))
    gateway = await start()
    page = await signIn(gateway.url)
  })
  afterAll(() => owned.disposeAsync())

  test('opens an EventSource by its cookie alone, and writes from its own page', async () => {
    const got = await page.evaluate(
      async ([connect, broadcast]) => {
        const source = new EventSource(connect)
        const event = (type: string) =>
          new Promise<string>((resolve) =>
            source.addEventListener(type, ({ data }) => resolve(data), { once: true }),
          )
        await event('connection')
        const note = event('note')
        const sent = await fetch(broadcast, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"event":"note","data":"hello"}',
        })
        const data = await note
        source.close()
        return [sent.status, data]
      },
      [CONNECT, BROADCAST] as const,
    )
    expect(got).toEqual([200, '"hello"'])
  })

  test('is of no use to a page of another origin: it neither writes, starts runs nor reads', async () => {
    const other = await chromium.context.newPage()
    onTestFinished(() => other.close())
    await other.goto(await servePage())
    const failed = await other.evaluate(async (url) => {
      const quiet = (path: string, method: string) =>
        fetch(url + path, { method, mode: 'no-cors', credentials: 'include' }).catch(() => undefined)
      await quiet('/api/runs/run_1/cancel', 'POST')
      await quiet('/api/sse-proxy/reactive/sample-parallel/sse-emitter', 'GET')
      const read = await fetch(`${url}/api/runs`, { credentials: 'include' }).catch((error) => error.name)
      const source = new EventSource(`${url}/api/sse`, { withCredentials: true })
      await new Promise((resolve) => source.addEventListener('error', resolve, { once: true }))
      return [read, source.readyState]
    }, gateway.url)
    expect(failed).toEqual(['TypeError', 2])
    // Without the cookie it would be a 401.
    await expect
      .poll(() => log.filter(({ status }) => status === 403).map(({ asked }) => asked))
      .toEqual([
        'POST /api/runs/run_1/cancel',
        'GET /api/sse-proxy/reactive/sample-parallel/sse-emitter',
        'GET /api/runs',
        'GET /api/sse',
      ])
  })

  test('is of use to a listed page, with its cookie: it reads streams, refusals and the headers of a run', async () => {
    const origin = await servePage()
    const open = await start({ CORS_ORIGINS: origin, CORS_CREDENTIALS: 'true', RATE_LIMIT_PUBLISHES: '100' })
    await (await signIn(open.url)).close()
    const listed = await chromium.context.newPage()
    onTestFinished(() => listed.close())
    await listed.goto(origin)
    const got = await listed.evaluate(
      async ([url, connect, broadcast]) => {
        const source = new EventSource(url + connect, { withCredentials: true })
        const event = (type: string) =>
          new Promise<string>((resolve) =>
            source.addEventListener(type, ({ data }) => resolve(data), { once: true }),
          )
        await event('connection')
        const note = event('note')
        const sent = await fetch(url + broadcast, {
          method: 'POST',
          credentials: 'include',
          headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
          body: '{"event":"note","data":"hello"}',
        })
        const data = await note
        source.close()
        const refused = await fetch(`${url}/api/runs`, { headers: { 'x-auth-token': 'nope' } })
        const { code } = await refused.json()
        return [sent.status, sent.headers.has('ratelimit'), data, refused.status, code]
      },
      [open.url, CONNECT, BROADCAST] as const,
    )
    expect(got).toEqual([200, true, '"hello"', 401, 'token_invalid'])
  })

  test('leaves the documents as they were: they load under their own policy', async () => {
    const docs = await chromium.context.newPage()
    onTestFinished(() => docs.close())
    const complaints: string[] = []
    docs.on('pageerror', (error) => complaints.push(String(error)))
    docs.on('console', (message) => {
      // Swagger UI's own style is refused by the policy that it comes with.
      if (message.type() === 'error' && !message.text().startsWith('Applying inline style'))
        complaints.push(message.text())
    })
    await docs.goto(`${gateway.url}/docs/`)
    await docs.getByText('/api/auth/session').first().waitFor()
    expect(complaints).toEqual([])
  })
})
