import { type CollectedEvent, EventCollector } from '@tributary/testkit'
import type { ServiceProcess } from './processes.ts'

const MANAGED = '/api/sse/managed'
const GROUP = 'outage'

type Place = Pick<ServiceProcess, 'url'>

export interface ToldAnswer {
  readonly status: number
  /** The header; `undefined` where there is none. */
  readonly retryAfter: string | undefined
  readonly body: unknown
}

/** Reads the group whose members are sent numbers. Resolves once it is connected. */
export async function readGroup(gateway: Place, user: string, cursor?: string): Promise<EventCollector> {
  const reader = await EventCollector.open(`${gateway.url}${MANAGED}/connect/group/${GROUP}`, {
    headers: {
      authorization: `Bearer ${user}-token`,
      ...(cursor === undefined ? {} : { 'last-event-id': cursor }),
    },
  })
  await reader.waitFor('connection')
  return reader
}

/** Sends a number to the group. @param padding makes it so much larger. */
export async function sendNumber(gateway: Place, n: number, padding = ''): Promise<ToldAnswer> {
  const answer = await fetch(`${gateway.url}${MANAGED}/broadcast/group/${GROUP}`, {
    method: 'POST',
    headers: { authorization: 'Bearer test-token', 'content-type': 'application/json' },
    body: JSON.stringify({ event: 'number', data: { n, padding } }),
  })
  return toldBy(answer)
}

/** What `/readyz` answers. */
export async function readinessOf({ url }: Place): Promise<ToldAnswer> {
  return toldBy(await fetch(`${url}/readyz`))
}

async function toldBy(answer: Response): Promise<ToldAnswer> {
  return {
    status: answer.status,
    retryAfter: answer.headers.get('retry-after') ?? undefined,
    body: await answer.json(),
  }
}

/** The numbers that a reader was sent, as they came. */
export function numbersOf(reader: EventCollector): number[] {
  return reader.ofType('number').map(numberOf)
}

/** Resolves once a reader has this number. */
export async function upTo(reader: EventCollector, n: number): Promise<void> {
  await reader.waitFor((event) => event.type === 'number' && numberOf(event) === n, 30_000)
}

export async function statusOf({ url }: Place, path: string): Promise<number> {
  const answer = await fetch(url + path)
  await answer.body?.cancel()
  return answer.status
}

export async function healthOf({ url }: Place): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${url}/healthz`)
  return { status: answer.status, body: await answer.json() }
}

/** Of an event of such a send. */
export function numberOf({ data }: CollectedEvent): number {
  return typeof data === 'object' && data !== null && 'n' in data ? Number(data.n) : Number.NaN
}
