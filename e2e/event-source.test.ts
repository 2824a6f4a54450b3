import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventSource } from '@tributary/client'
import { lastingPort } from '@tributary/testkit'
import { EventSource as PackageEventSource } from 'eventsource'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ServiceProcess, startGateway } from './processes.ts'

const HEADERS = { 'X-Auth-Token': 'alice-token' }
const ENV = { RETRY_MS: '100' }

/** The two ways that a client comes by headers: as the references write it, and through the package's `fetch`. */
const SOURCES = [
  ['our EventSource', (url: string) => new EventSource(url, { headers: HEADERS, retryMs: 10 })],
  [
    'the eventsource package',
    (url: string) =>
      new PackageEventSource(url, {
        fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...HEADERS } }),
      }),
  ],
] as const

/** What one source got, and how to wait for more of it. */
class Received {
  readonly numbers: number[] = []
  readonly ids: string[] = []
  readonly gaps: unknown[] = []
  /** How many streams the server ended because it was time. */
  rotations = 0
  readonly #source: EventTarget & { close(): void }
  #wake = Promise.withResolvers<void>()

  constructor(source: EventTarget & { close(): void }) {
    this.#source = source
    this.#on('number', ({ data, lastEventId }) => {
      this.numbers.push(JSON.parse(data))
      this.ids.push(lastEventId)
    })
    this.#on('gap', ({ data }) => this.gaps.push(JSON.parse(data)))
    this.#on('disconnected', ({ data }) => {
      if (JSON.parse(data).reason === 'timeout') this.rotations += 1
    })
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.#wake.promise
  }

  next(type: string): Promise<void> {
    return new Promise((resolve) => this.#source.addEventListener(type, () => resolve(), { once: true }))
  }

  [Symbol.dispose](): void {
    this.#source.close()
  }

  #on(type: string, take: (event: MessageEvent) => void): void {
    this.#source.addEventListener(type, (event) => {
      if (event instanceof MessageEvent) take(event)
      this.#wake.resolve()
      this.#wake = Promise.withResolvers()
    })
  }
}

async function publish(gateway: ServiceProcess, number: number): Promise<void> {
  const answer = await fetch(`${gateway.url}/api/sse/managed/send/user/alice`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'X-Auth-Token': 'test-token' },
    body: JSON.stringify({ event: 'number', data: number }),
  })
  expect(answer.status).toBe(200)
}

describe.each(SOURCES)('a managed stream, read by %s', (_, open) => {
  let gateway: ServiceProcess
  beforeAll(async () => {
    gateway = await startGateway({ env: ENV })
  })
  afterAll(() => gateway.stop())

  it('brings each event once and in order, whenever its server ends it for its timeout', async () => {
    using received = new Received(open(`${gateway.url}/api/sse/managed/connect?timeout=1000`))
    await received.next('connection')
    const expected: number[] = []
    const send = async (count: number) => {
      for (let n = 0; n < count; n += 1) {
        expected.push(expected.length)
        await publish(gateway, expected.length - 1)
      }
    }
    for (let rotation = 0; rotation < 3; rotation += 1) {
      await send(3)
      await received.until(() => received.rotations > rotation)
      // While nobody is connected, and while he comes back.
      const back = received.next('connection')
      await send(3)
      await back
      await send(3)
    }
    await received.until(() => received.numbers.length >= expected.length)
    await publish(gateway, -1)
    await received.until(() => received.numbers.includes(-1))
    expect(received.numbers).toEqual([...expected, -1])
    expect(new Set(received.ids).size).toBe(expected.length + 1)
    expect(received.gaps).toEqual([])
    expect(received.rotations).toBeGreaterThanOrEqual(3)
  })
})

it.each(SOURCES)('%s misses nothing over the death of its gateway', async (_, open) => {
  const port = await lastingPort()
  const cwd = await mkdtemp(join(tmpdir(), 'tributary-event-source-'))
  const killed = await startGateway({ env: ENV, port, cwd })
  using received = new Received(open(`${killed.url}/api/sse/managed/connect`))
  await received.next('connection')
  await publish(killed, 1)
  await received.until(() => received.numbers.includes(1))
  await publish(killed, 2)
  await killed.kill()
  await using started = await startGateway({ env: ENV, port, cwd })
  await publish(started, 3)
  await received.until(() => received.numbers.includes(3))
  await publish(started, 4)
  await received.until(() => received.numbers.includes(4))
  expect(received.numbers).toEqual([1, 2, 3, 4])
  await rm(cwd, { recursive: true, force: true })
})

it('our EventSource is closed for good by whoever closes its connection', async () => {
  await using gateway = await startGateway({ env: ENV })
  // As code for the native one takes it.
  const source: globalThis.EventSource = new EventSource(`${gateway.url}/api/sse/managed/connect`, {
    headers: HEADERS,
  })
  const closed = Promise.withResolvers<void>()
  const states: number[] = []
  source.onerror = () => {
    states.push(source.readyState)
    closed.resolve()
  }
  const id = Promise.withResolvers<string>()
  source.addEventListener('connection', ({ data }) => id.resolve(JSON.parse(data).clientId))
  const path = `/api/sse/managed/connections/${await id.promise}`
  const answer = await fetch(gateway.url + path, {
    method: 'DELETE',
    headers: { 'X-Auth-Token': 'test-token' },
  })
  expect(answer.status).toBe(200)
  await closed.promise
  expect(states).toEqual([EventSource.CLOSED])
})

it('our EventSource says why it is refused', async () => {
  await using gateway = await startGateway({ env: ENV })
  const source = new EventSource(`${gateway.url}/api/sse/managed/connect`, {
    headers: { 'X-Auth-Token': 'none' },
  })
  const refused = await new Promise((resolve) => {
    source.onerror = resolve
  })
  expect(source.readyState).toBe(EventSource.CLOSED)
  expect(refused).toMatchObject({ status: 401, error: { body: expect.stringContaining('token_unknown') } })
})
