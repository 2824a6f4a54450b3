import { request } from 'undici'
import { expect, test } from 'vitest'
import { Drain } from '../src/index.ts'
import { keptLog, serve } from './service-under-test.ts'

async function ask(url: string) {
  const answer = await request(url)
  return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(await answer.body.text()) }
}

test('a draining service refuses what is new, answers health, and finishes what is under way', async () => {
  const slow = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const { url, drain } = await serve({
    routes: (app) => {
      app.get('/slow', async () => {
        started.resolve()
        await slow.promise
        return { done: true }
      })
      app.get('/stream', { config: { whileDraining: 'serve' } }, async () => ({ told: 'busy' }))
    },
  })
  const steps: string[] = []
  drain.onDrain('streams', () => void steps.push('streams'))
  drain.onClose('store', () => void steps.push('store'))
  const underWay = ask(`${url}/slow`)
  await started.promise
  const drained = drain.begin()
  expect(drain.begin()).toBe(drained)
  expect(drain.state).toBe('draining')

  const refused = await ask(`${url}/open`)
  expect(refused.status).toBe(503)
  expect(refused.headers).toMatchObject({
    'content-type': 'application/problem+json; charset=utf-8',
    'retry-after': '2',
    connection: 'close',
  })
  expect(refused.body).toMatchObject({ code: 'draining', retryable: true })
  expect((await ask(`${url}/healthz`)).body).toEqual({ status: 'draining' })
  expect((await ask(`${url}/readyz`)).body).toMatchObject({ code: 'draining', status: 503 })
  expect((await ask(`${url}/stream`)).body).toEqual({ told: 'busy' })
  expect(steps).toEqual(['streams'])

  slow.resolve()
  expect((await underWay).body).toEqual({ done: true })
  await drained
  expect(steps).toEqual(['streams', 'store'])
  expect(drain.state).toBe('closed')
})

test('a drain gives up what outlasts its limit, logs what fails, and still closes', async () => {
  const { lines, logger } = keptLog()
  let alarm = () => {}
  const clock = {
    now: () => 0,
    elapsed: () => 0,
    every: () => () => {},
    after: (_delayMs: number, callback: () => void) => {
      alarm = callback
      return () => {}
    },
  }
  const drain = new Drain({ limitMs: 1000, logger, clock })
  const steps: string[] = []
  drain.onDrain('broken', () => {
    throw new Error('no')
  })
  drain.onDrain('endless', (limit) => {
    steps.push('endless')
    limit.addEventListener('abort', () => steps.push('told'))
    queueMicrotask(() => alarm())
    return new Promise(() => {})
  })
  drain.onClose('store', () => void steps.push('store'))
  await drain.begin()
  expect(steps).toEqual(['endless', 'told', 'store'])
  expect(lines.filter(({ level }) => level === 40).map(({ msg, step }) => [step, msg])).toEqual([
    ['broken', 'drain step failed'],
    ['endless', 'drain step given up'],
  ])
})

test('an app that closes by itself refuses with a problem too', async () => {
  const closing = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const { app, url } = await serve({
    routes: (one) => {
      one.addHook('preClose', async () => {
        closing.resolve()
        await go.promise
      })
    },
  })
  const closed = app.close()
  await closing.promise
  expect((await ask(`${url}/open`)).body).toMatchObject({ code: 'draining', status: 503 })
  go.resolve()
  await closed
})
