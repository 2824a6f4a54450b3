import { EventCollector } from '@tributary/testkit'
import { SignJWT } from 'jose'
import { afterAll, expect, it } from 'vitest'
import { startServer } from './server.ts'

const SECRET = 'a secret of thirty-two characters'
const server = await startServer(0, { NODE_ENV: 'production', AUTH_JWT_SECRET: SECRET })
const url = `http://127.0.0.1:${server.port}`

afterAll(() => server.close())

function send(method: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

async function signIn(): Promise<string> {
  const answer = await send('POST', '/session', { userId: 'ann', password: 'secret-of-ann' })
  const cookie = answer.headers.get('set-cookie') ?? ''
  expect(cookie).toMatch(/^tributary_session=[^;]+; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Lax$/)
  return cookie.split(';')[0] ?? ''
}

it('signs in who knows the password, whose stream the cookie opens then', async () => {
  expect((await send('POST', '/session', { userId: 'ann', password: 'x' })).status).toBe(401)
  expect(await (await fetch(`${url}/events`)).json()).toMatchObject({ code: 'unauthorized' })
  const cookie = await signIn()
  await using ann = await EventCollector.open(`${url}/events`, { headers: { cookie } })
  await ann.waitFor('connection')
  const sent = await send('POST', '/notes', { text: 'hello' }, { cookie, origin: url })
  expect(await sent.json()).toMatchObject({ success: true, delivered: 1 })
  expect(await ann.waitFor('note')).toMatchObject({ data: { text: 'hello' } })
})

it('takes nothing from a page of another origin that uses the cookie', async () => {
  const cookie = await signIn()
  const answer = await send('POST', '/notes', {}, { cookie, origin: 'https://evil.example' })
  expect(answer.status).toBe(403)
  expect(await answer.json()).toMatchObject({ code: 'cross_site_refused' })
})

it('knows who bears a signed token, too', async () => {
  const token = await new SignJWT({ sub: 'bob' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))
  const bearer = { authorization: `Bearer ${token}` }
  expect((await send('POST', '/notes', {}, bearer)).status).toBe(200)
  const forged = await send('POST', '/notes', {}, { authorization: `Bearer ${token.slice(0, -4)}AAAA` })
  expect(await forged.json()).toMatchObject({ status: 401, code: 'token_invalid' })
})

it('signs out', async () => {
  const answer = await send('DELETE', '/session', {})
  expect(answer.headers.get('set-cookie')).toMatch(/^tributary_session=; Path=\/; Expires=Thu, 01 Jan 1970/)
})
