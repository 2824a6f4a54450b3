import { ProblemError } from '@tributary/protocol'
import { describe, expect, test } from 'vitest'
import { addStaticPage, SSE_CLIENT_PAGE } from '../src/index.ts'
import { serve } from './service-under-test.ts'

describe('the API documents', () => {
  test('are OpenAPI 3.1 with a problem for every route, and the token where one is needed', async () => {
    const { app } = await serve()
    const documents = (await app.inject('/docs/json')).json()
    expect(documents).toMatchObject({ openapi: '3.1.0', info: { title: 'Test', version: '1.0.0' } })
    expect(Object.keys(documents.paths)).toEqual(
      expect.arrayContaining(['/healthz', '/readyz', '/api/things/{id}']),
    )
    for (const item of Object.values<Record<string, { responses: Record<string, unknown> }>>(
      documents.paths,
    )) {
      for (const operation of Object.values(item)) expect(operation.responses).toHaveProperty('default')
    }
    expect(documents.components.schemas.Problem.properties).toHaveProperty('code')
    expect(documents.paths['/api/tasks'].post.security).toHaveLength(4)
    expect(documents.paths['/healthz'].get.security).toEqual([])
    expect(
      documents.paths['/api/tasks'].post.requestBody.content['application/json'].schema.required,
    ).toEqual(['tasks'])
  })

  test('are pages of this server alone', async () => {
    const { app } = await serve()
    const page = await app.inject('/docs/')
    expect(page.statusCode).toBe(200)
    const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source ?? '')
    expect(sources.length).toBeGreaterThan(0)
    for (const source of sources) {
      expect(source).not.toMatch(/^(https?:)?\/\//)
      const file = await app.inject(new URL(source, 'http://localhost/docs/').pathname)
      expect([source, file.statusCode]).toEqual([source, 200])
    }
    expect((await app.inject('/docs/static/no-such-file')).json()).toMatchObject({ code: 'not_found' })
  })
})

test('the page comes with security headers and a tag by which it is not sent again', async () => {
  const { app } = await serve({
    routes: (one) => void one.register((inner) => addStaticPage(inner, SSE_CLIENT_PAGE)),
  })
  const page = await app.inject('/sse-client.html')
  expect(page.statusCode).toBe(200)
  expect(page.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'content-security-policy': expect.stringContaining("script-src 'self'"),
  })
  const again = await app.inject({
    url: '/sse-client.html',
    headers: { 'if-none-match': `W/"x", ${page.headers.etag}` },
  })
  expect([again.statusCode, again.body]).toEqual([304, ''])
  for (const file of ['/sse-client.js', '/sse-client/sse-parser.js']) {
    expect((await app.inject(file)).headers['content-type']).toBe('text/javascript; charset=utf-8')
  }
  for (const file of ['/tsconfig.json', '/sse-client/', '/sse-client/../tsconfig.json']) {
    expect((await app.inject(file)).statusCode).toBe(404)
  }
})

describe('readiness', () => {
  test('follows its check, and says why it fails', async () => {
    let probe: Promise<{ ageMs: number; tookMs: number }> = Promise.resolve({ ageMs: 1, tookMs: 2 })
    const { app } = await serve({ ready: () => probe })
    const ready = { status: 'ready', probe: { ageMs: 1, tookMs: 2 } }
    expect((await app.inject('/readyz')).json()).toEqual(ready)
    probe = Promise.reject(new ProblemError('store_unavailable', 'The disk is full.'))
    const answer = await app.inject('/readyz')
    expect(answer.statusCode).toBe(503)
    expect(answer.json()).toMatchObject({ code: 'store_unavailable', detail: 'The disk is full.' })
    expect((await app.inject('/healthz')).json()).toEqual({ status: 'ok' })
  })

  test('is missing where the check fails', async () => {
    const { app } = await serve({
      ready: async () => {
        throw new Error('no store')
      },
    })
    const answer = await app.inject('/readyz')
    expect(answer.json()).toMatchObject({ code: 'not_ready', retryable: true })
    expect([answer.statusCode, answer.body.includes('no store')]).toEqual([503, false])
  })
})
