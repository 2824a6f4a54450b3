import { afterAll, describe, expect, it } from 'vitest'
import { LOCAL_HOSTS } from './local-addresses.ts'
import { ALLOWED, REFUSED, redirect, startSsrfWorld } from './ssrf-world.ts'

const ssrf = await startSsrfWorld()
const { trap, hostile, dns, outcomeOf, holdRefused } = ssrf
afterAll(() => ssrf[Symbol.asyncDispose]())

describe('a task does not reach', () => {
  it.each(LOCAL_HOSTS)('%s', (host) => holdRefused({ url: `http://${host}:${trap.port}/` }))

  it.each([
    ['at its own port', 'http://169.254.169.254/latest/meta-data/'],
    ['over TLS', `https://127.0.0.1:${trap.port}/`],
    ['over TLS at its own port', 'https://localhost/'],
    ['the allowed address at another port', `http://${ALLOWED}:${trap.port + 1}/`],
    ['the allowed address at no port', `http://${ALLOWED}/`],
    ['the worker itself', 'http://127.0.0.1:8080/api/runs'],
    ['a denied name', `http://denied.test:${trap.port}/`],
    ['a denied suffix that is allowed, too', `http://a.closed.test:${trap.port}/`],
    ['a denied suffix that does not exist', `http://no.closed.test:${trap.port}/`],
    ['a denied address that is allowed, too', `http://127.0.0.4:${trap.port}/`],
    ['the port of mail', 'http://8.8.8.8:25/'],
    ['the port of SSH', 'http://open.test:22/'],
    ['the port of Redis', 'http://8.8.8.8:6379/'],
  ])('%s', (_what, url) => holdRefused({ url }))

  it.each([
    'v4',
    'v6',
    'zero',
    'mapped',
    'nat64',
    '6to4',
    'metadata',
    'azure',
    'private',
    'link',
    'unique',
    'one-of-two',
    'last-of-many',
    'one-family',
    'allowed-and-not',
  ])('what the name %s.test means', (name) => holdRefused({ url: `http://${name}.test:${trap.port}/` }))
})

describe('a name that is answered differently the second time', () => {
  it('is refused when the task is tried again', async () => {
    const bytes = 'HTTP/1.1 503 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'
    const url = hostile.answering(bytes, { host: 'rebinds-on-retry.test' })
    await holdRefused({ url, retries: 3 }, { ...REFUSED, attempt: 2 })
    expect(dns.questions.filter((question) => question === 'A rebinds-on-retry.test')).toHaveLength(2)
  })

  it.each(['rebinds-on-redirect.test', 'rebinds-by-family.test', 'rebinds-to-both.test'])(
    'is refused when %s redirects to itself',
    async (host) => {
      await holdRefused({ url: hostile.answering(redirect('/'), { host }) })
      expect(dns.questions.filter((question) => question === `A ${host}`)).toHaveLength(2)
    },
  )
})

describe('a redirect does not lead to', () => {
  const { port } = trap
  it.each([
    ...[301, 302, 303, 307, 308].map((status) => [`http://127.0.0.1:${port}/`, status] as const),
    ...[
      `//127.0.0.1:${port}/`,
      `///127.0.0.1:${port}/`,
      `/\\127.0.0.1:${port}/`,
      `\\\\127.0.0.1:${port}\\`,
      `/\t/127.0.0.1:${port}/`,
      `http:\\\\127.0.0.1:${port}/`,
      `https:127.0.0.1:${port}/`,
      `HTTP://127.0.0.1:${port}/`,
      `https://127.0.0.1:${port}/`,
      `http://2130706433:${port}/`,
      `http://0x7f.1:${port}/`,
      `http://127.1:${port}/`,
      `http://[::1]:${port}/`,
      `http://[::ffff:7f00:1]:${port}/`,
      `http://localhost:${port}/`,
      `http://v4.test:${port}/`,
      `http://one-of-two.test:${port}/`,
      'http://169.254.169.254/latest/meta-data/',
      `http://${ALLOWED}:${port + 1}/`,
      `http://denied.test:${port}/`,
      `http://127.0.0.1:${port}/#@${ALLOWED}`,
      `http://127.0.0.1:${port}\\@${ALLOWED}:${port}/`,
    ].map((location) => [location, 302] as const),
  ])('%s by a %i', (location, status) => holdRefused({ url: hostile.answering(redirect(location, status)) }))

  it('what a second redirect leads to', () => {
    const second = hostile.answering(redirect(`http://127.0.0.1:${port}/`))
    return holdRefused({ url: hostile.answering(redirect(second)) })
  })

  it.each([
    `http://user@127.0.0.1:${port}/`,
    `http://user:password@${ALLOWED}:${port}/`,
    `http://${ALLOWED}:${port}@127.0.0.1:${port}/`,
    `//:password@${ALLOWED}:${port}/`,
  ])('%s, which has a user', (location) =>
    holdRefused(
      { url: hostile.answering(redirect(location)) },
      { code: 'address_refused', error: 'An address with a user name or password may not be called' },
    ),
  )

  it.each([
    'file:///etc/passwd',
    'ftp://open.test/',
    'gopher://127.0.0.1/',
    'data:,x',
    'javascript:x',
    'unix:/x',
    'ws://open.test/',
  ])('%s, which is no HTTP', (location) =>
    holdRefused(
      { url: hostile.answering(redirect(location)) },
      { code: 'address_refused', error: 'Only http and https addresses may be called' },
    ),
  )

  it.each([
    ['itself for ever', redirect('?'), 'Too many redirects'],
    ['what is no address', redirect('http://[::1'), 'Invalid URL'],
    ['a port that is none', redirect(`http://127.0.0.1:99999/`), 'Invalid URL'],
    ['an address with a zone', redirect('http://[fe80::1%25lo]/'), 'Invalid URL'],
    [
      'two places',
      redirect(`http://${ALLOWED}:${port}/`, 302, `location: http://127.0.0.1:${port}/\r\n`),
      'Redirect to several places',
    ],
  ])('%s', (_what, bytes, error) => {
    const url = hostile.answering(bytes)
    // Relative to what it was asked for, so that it comes back to the same answer.
    return holdRefused({ url }, { code: 'task_failed', error })
  })
})

describe('a named task does not reach', () => {
  const { port } = trap
  it.each([
    `http://127.0.0.1:${port}/`,
    `http://0x7f.1:${port}/`,
    `http://[::ffff:7f00:1]:${port}/`,
    'http://169.254.169.254/latest/meta-data/',
    `http://v4.test:${port}/`,
    `http://allowed-and-not.test:${port}/`,
    `http://redis:${port}/`,
    'http://8.8.8.8:25/',
    hostile.answering(redirect(`http://127.0.0.1:${port}/`, 307)),
    hostile.answering(redirect(`//localhost:${port}/`)),
  ])('%s', async (url) => {
    await holdRefused({ name: 'Fetch External Data', input: { url } })
    await holdRefused({ name: 'Call Third-party API', input: { url, method: 'PUT' } })
  })
})

describe('credentials', () => {
  const headers = {
    authorization: 'Bearer mine',
    cookie: 'a=mine',
    'x-api-key': 'mine',
    'x-auth-token': 'mine',
  }

  it('do not go along to another host, and the rest does', async () => {
    const second = hostile.answering('HTTP/1.1 204 x\r\nconnection: close\r\n\r\n', { host: 'open.test' })
    const url = hostile.answering(redirect(second, 307))
    const before = hostile.requests.length
    expect(
      await outcomeOf({ url, method: 'POST', body: 'text', headers: { ...headers, 'x-other': 'kept' } }),
    ).toMatchObject({
      result: { status: 204 },
    })
    const [first, then] = hostile.requests.slice(before)
    expect(first?.match(/mine/g)).toHaveLength(4)
    expect(then).not.toContain('mine')
    expect(then).toContain('kept')
  })
})

it('would have seen it, had anything come to the trap', async () => {
  expect(await (await fetch(`http://127.0.0.1:${trap.port}/`)).text()).toBe('secret')
  expect(trap.connections).toBe(1)
})
