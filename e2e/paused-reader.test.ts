import { lastingPort } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { NumberedReader } from './numbered-reader.ts'
import { type ServiceProcess, startGateway } from './processes.ts'
import { postJson } from './services.ts'

const BOUND_BYTES = 262_144
const EVENT_BYTES = 100_000
/** So many that history in memory has come to its bound. */
const EARLIER = 60
/** 15 MB: more than the bound and all that the kernel holds for one socket. */
const EVENTS = 150
const LAST = EARLIER + EVENTS
const NEIGHBOURS = 200
/** That stop reading. Several, so that what they cost stands out from what history in memory goes up and down by. */
const PAUSED = 10
/** What they may cost: each its bound, and one event. Without a bound it would be all that the kernel does not take. */
const ALLOWED_BYTES = PAUSED * (BOUND_BYTES + EVENT_BYTES)
/** Events from one look at the memory to the next. */
const LOOK_EVERY = 4

const CONNECT = '/api/sse/managed/connect'
const TEXT = 'x'.repeat(EVENT_BYTES)

async function startMeasured() {
  const heapPort = await lastingPort()
  const gateway = await startGateway({
    env: {
      NODE_OPTIONS: `--import=${new URL('heap-server.ts', import.meta.url).href}`,
      HEAP_PORT: String(heapPort),
      OUTBOX_MAX_BYTES: String(BOUND_BYTES),
      MAX_CONNECTIONS: '1000',
      MAX_CONNECTIONS_PER_USER: '0',
    },
  })
  const heldBytes = async () => Number(await (await fetch(`http://127.0.0.1:${heapPort}`)).text())
  return { gateway, heldBytes }
}

/** Broadcasts numbered events, each once all neighbours have the one before. Answers the most that was held. */
async function broadcast(
  { gateway, heldBytes }: Awaited<ReturnType<typeof startMeasured>>,
  neighbours: readonly NumberedReader[],
  [from, to]: readonly [from: number, to: number],
  onEach: () => Promise<void> = async () => undefined,
): Promise<number> {
  let most = 0
  for (let n = from; n <= to; n++) {
    const answer = await postJson(`${gateway.url}/api/sse/managed/broadcast`, {
      event: 'large',
      data: { n, text: TEXT },
    })
    expect(answer.status).toBe(200)
    await Promise.all(neighbours.map((neighbour) => neighbour.until(n)))
    await onEach()
    if (n % LOOK_EVERY === 0) most = Math.max(most, await heldBytes())
  }
  return most
}

async function connectionIds(gateway: ServiceProcess): Promise<Set<unknown>> {
  const { connections } = await (await fetch(`${gateway.url}/api/sse/managed/connections`)).json()
  return new Set(connections.map(({ connectionId }: { connectionId: unknown }) => connectionId))
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

it('bounds what readers cost that stop reading, cuts them, and lets them resume; others notice nothing', {
  timeout: 180_000,
}, async ({ annotate }) => {
  const measured = await startMeasured()
  await using gateway = measured.gateway
  const open = (count: number) =>
    Promise.all(Array.from({ length: count }, () => NumberedReader.open(gateway.url + CONNECT)))
  const neighbours = await open(NEIGHBOURS)
  const without = await broadcast(measured, neighbours, [1, EARLIER])

  const paused = await open(PAUSED)
  for (const reader of paused) reader.pause()
  // The first never reads on; the others do as soon as the gateway has given them up.
  const [first, ...late] = paused
  const waiting = new Set(late)
  const resumeWhoIsCut = async () => {
    if (waiting.size === 0) return
    const open = await connectionIds(gateway)
    for (const reader of waiting) {
      if (open.has(reader.connectionId)) continue
      waiting.delete(reader)
      reader.resume()
    }
  }
  const withPaused = await broadcast(measured, neighbours, [EARLIER + 1, LAST], resumeWhoIsCut)
  await annotate(`most held without ${without}, with ${withPaused}, not cut ${waiting.size}`)
  expect(waiting.size).toBe(0)
  expect(withPaused - without).toBeLessThan(ALLOWED_BYTES)

  for (const neighbour of neighbours) {
    expect(neighbour.numbers).toEqual(numbers(1, LAST))
    expect(neighbour.told.filter((frame) => !/^(connection|heartbeat) /.test(frame))).toEqual([])
    neighbour.close()
  }
  for (const reader of late) {
    await reader.ended
    expect(reader.told.at(-1)).toBe('disconnected {"reason":"slow_consumer","reconnect":true}')
  }
  first?.resume()
  await first?.ended
  for (const reader of paused) {
    const again = await NumberedReader.open(gateway.url + CONNECT, { 'last-event-id': String(reader.cursor) })
    await again.until(LAST)
    again.close()
    expect([...reader.numbers, ...again.numbers]).toEqual(numbers(EARLIER + 1, LAST))
  }
})
