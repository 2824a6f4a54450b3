import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { HandlerRegistry, type HandlerRequester, HandlerRunner } from '@tributary/runs'
import { describe, expect, it } from 'vitest'

const HANDLERS = fileURLToPath(new URL('../handlers', import.meta.url))
const silent = { info: () => {}, warn: () => {}, error: () => {} }

const request: HandlerRequester = async ({ url, method = 'GET', headers = {}, body }, { signal }) => {
  const init = { method, headers: { ...headers }, signal }
  const answer = await fetch(url, body === undefined ? init : { ...init, body: Buffer.from(body) })
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.bytes() }
}

async function openHandlers(sampleUrl?: string) {
  const registry = await HandlerRegistry.load([HANDLERS])
  const runner = new HandlerRunner({ registry, request, ...(sampleUrl === undefined ? {} : { sampleUrl }) })
  return {
    names: runner.names(),
    async run(name: string, input?: unknown) {
      const percentages: number[] = []
      const result = await runner.run(name, {
        input,
        taskId: 't1',
        attempt: 1,
        signal: AbortSignal.timeout(10_000),
        log: silent,
        onProgress: ({ progress }) => percentages.push(progress),
      })
      return { result, percentages }
    },
    [Symbol.asyncDispose]: () => runner.close(),
  }
}

/** An API that lists orders, takes new ones, and has something wrong at other paths. */
async function serve() {
  const server = createServer(async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray()).toString()
    const json = (status: number, value: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (incoming.url === '/api/orders' && incoming.method === 'GET')
      return json(200, [{ id: 1, tags: ['a', 'b'] }])
    if (incoming.url === '/api/orders') {
      return json(201, { method: incoming.method, type: incoming.headers['content-type'], body })
    }
    if (incoming.url === '/api/text') return response.end('plain')
    if (incoming.url === '/api/nothing') return response.writeHead(204).end()
    return json(incoming.url === '/api/broken' ? 503 : 404, {})
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  // A TCP server's address is never a pipe's name.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/api`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}

describe('Fetch External Data', () => {
  it('gets and counts the orders of the sample API', async () => {
    await using api = await serve()
    await using handlers = await openHandlers(api.url)
    const { result, percentages } = await handlers.run('Fetch External Data')
    expect(result).toEqual({
      url: `${api.url}/orders`,
      status: 200,
      data: [{ id: 1, tags: ['a', 'b'] }],
      counts: { bytes: 27, items: 1, values: 3 },
    })
    expect(percentages).toEqual([50, 100])
  })

  it.each([
    ['/broken', 'answered 503', 'http_5xx'],
    ['/none', 'answered 404', 'http_4xx'],
    ['/text', 'not JSON', 'invalid_json'],
  ])('fails for %s', async (path, message, code) => {
    await using api = await serve()
    await using handlers = await openHandlers()
    const failure = handlers.run('Fetch External Data', { url: `${api.url}${path}` })
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  })
})

describe('Call Third-party API', () => {
  it('posts a sample order where it is told nothing', async () => {
    await using api = await serve()
    await using handlers = await openHandlers(`${api.url}/`)
    const { result, percentages } = await handlers.run('Call Third-party API')
    expect(result).toEqual({
      url: `${api.url}/orders`,
      method: 'POST',
      status: 201,
      body: { method: 'POST', type: 'application/json', body: '{"product":"Sample","quantity":1}' },
    })
    expect(percentages).toEqual([0, 50, 100])
  })

  it.each([
    [
      { method: 'PUT', body: { a: [1] } },
      { method: 'PUT', type: 'application/json', body: '{"a":[1]}' },
    ],
    [{ body: 'a=1' }, { method: 'POST', type: 'text/plain; charset=utf-8', body: 'a=1' }],
    [{ method: 'DELETE' }, { method: 'DELETE', body: '' }],
  ])('sends %j', async (input, body) => {
    await using api = await serve()
    await using handlers = await openHandlers()
    const { result } = await handlers.run('Call Third-party API', { url: `${api.url}/orders`, ...input })
    expect(result).toMatchObject({ status: 201, body })
  })

  it.each([
    ['/text', 200, 'plain'],
    ['/nothing', 204, null],
  ])('answers with what is no JSON too: %s', async (path, status, body) => {
    await using api = await serve()
    await using handlers = await openHandlers()
    const { result } = await handlers.run('Call Third-party API', { url: `${api.url}${path}` })
    expect(result).toMatchObject({ status, body })
  })
})

describe.each(['Fetch External Data', 'Call Third-party API'])('%s', (name) => {
  it('needs a URL where there is no sample API', async () => {
    await using handlers = await openHandlers()
    await expect(handlers.run(name)).rejects.toThrow('`url` is needed')
  })

  it('refuses an input field that it does not know', async () => {
    await using handlers = await openHandlers()
    await expect(handlers.run(name, { link: 'x' })).rejects.toThrow('input/link')
  })
})
