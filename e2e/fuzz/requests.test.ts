import fc from 'fast-check'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { startGateway, startWorker } from '../services.ts'
import { fuzz } from './fuzz.ts'
import { anyJson, mutated, valuesOf } from './values-of.ts'

/** What would take its time, or go elsewhere, has values of its own. */
const OWN_VALUES: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  wait: fc.integer({ min: -1, max: 5 }),
  ms: fc.integer({ min: -1, max: 5 }),
  bytes: fc.integer({ min: -1, max: 500 }),
  count: fc.integer({ min: -1, max: 3 }),
  intervalMs: fc.integer({ min: -1, max: 5 }),
  url: fc.constantFrom(
    'http://127.0.0.1:9/',
    'http://10.0.0.1/',
    'ftp://127.0.0.1/',
    'http://[::1]:9/',
    '//',
    'x',
  ),
  endpoint: fc.constantFrom(
    '/api/sse/flow-example?count=1',
    'http://127.0.0.1:9/',
    '/healthz',
    '//',
    'x',
    '/..',
  ),
  deadlineMs: fc.integer({ min: -1, max: 50 }),
}

type Part = Readonly<Record<string, unknown>>
const partOf = (value: unknown): Part => (typeof value === 'object' && value !== null ? { ...value } : {})
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

interface Asked {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** Requests that an operation describes, and now and then ones that it does not. */
function requestsOf(path: string, operation: Part): fc.Arbitrary<Asked> {
  const parameters = listOf(operation.parameters).map(partOf)
  const of = (place: string) => {
    const here = parameters
      .filter((one) => one.in === place && one.name !== 'token')
      .map(({ name }) => String(name))
    const schemaOf = (name: string) => parameters.find((one) => one.in === place && one.name === name)?.schema
    return fc.record(
      Object.fromEntries(here.map((name) => [name, OWN_VALUES[name] ?? valuesOf(schemaOf(name))])),
      {
        // Without its own value it would have a default, that takes its time.
        requiredKeys: here.filter((name) => place === 'path' || Object.hasOwn(OWN_VALUES, name)),
      },
    )
  }
  const json = partOf(partOf(partOf(operation.requestBody).content)['application/json'])
  const body =
    operation.requestBody === undefined ? fc.constant(undefined) : valuesOf(json.schema, OWN_VALUES)
  return fc
    .tuple(of('path'), of('query'), of('header'), body, fc.nat(), anyJson())
    .map(([inPath, inQuery, inHeader, value, choice, instead]) => {
      const changed = choice % 3 === 0 && value !== undefined ? mutated(value, choice, instead) : value
      const query = Object.entries(inQuery).map((pair) => pair.map((text) => encoded(text)).join('='))
      return {
        path:
          path.replace(/\{(\w+)\}/g, (_, name) => encoded(partOf(inPath)[name])) +
          (query.length > 0 ? `?${query.join('&')}` : ''),
        headers: Object.fromEntries(
          Object.entries(inHeader).map(([name, text]) => [name, String(text).replace(/[^ -~]/g, '?')]),
        ),
        body: changed === undefined ? undefined : JSON.stringify(changed),
      }
    })
}

const encoded = (value: unknown) => encodeURIComponent(String(value).toWellFormed())

/** The routes by the documents of services in development, where all of them are there. */
const documents = await documentsOf()

async function documentsOf(): Promise<[service: 'gateway' | 'worker', document: Part][]> {
  await using worker = await startWorker()
  await using gateway = await startGateway()
  const read = async (url: string) => partOf(await (await fetch(`${url}/docs/json`)).json())
  return [
    ['gateway', await read(gateway.url)],
    ['worker', await read(worker.url)],
  ]
}

const OPERATIONS = documents.flatMap(([service, document]) =>
  Object.entries(partOf(document.paths)).flatMap(([path, item]) =>
    Object.entries(partOf(item)).map(
      ([method, operation]) => [service, method.toUpperCase(), path, partOf(operation)] as const,
    ),
  ),
)

const agent = new Agent({ connections: 8 })
const urls = { gateway: '', worker: '' }
let stop: () => Promise<void>

beforeAll(async () => {
  const env = { MAX_CONNECTIONS_PER_USER: '0', DRAIN_MS: '0', OUTBOUND_DENY: '0.0.0.0/0,::/0' }
  const worker = await startWorker({ env })
  const gateway = await startGateway({ workers: [worker], env: { ...env, OUTBOUND_DENY: '' } })
  Object.assign(urls, { gateway: gateway.url, worker: worker.url })
  stop = async () => {
    await agent.destroy()
    await gateway.close()
    await worker.close()
  }
})
afterAll(() => stop())

// That each answer is as documented, the tests' setup sees to.
describe.each(OPERATIONS)('the %s at %s %s', (service, method, path, operation) => {
  fuzz(
    'makes no mistake, whatever it is asked',
    fc.asyncProperty(requestsOf(path, operation), async ({ path: to, headers, body }) => {
      const answer = await request(urls[service] + to, {
        dispatcher: agent,
        method: method === 'POST' ? 'POST' : method === 'DELETE' ? 'DELETE' : 'GET',
        headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        body: body ?? null,
      })
      if (String(answer.headers['content-type']).startsWith('text/event-stream')) {
        answer.body.destroy()
        answer.body.on('error', () => undefined)
        return
      }
      const text = await answer.body.text()
      const expected = /"code":"(upstream_\w+|busy|overloaded)"/.test(text) || path === '/api/sample/flaky'
      if (!expected) expect(answer.statusCode, text).toBeLessThan(500)
    }),
    0.05,
  )
})
