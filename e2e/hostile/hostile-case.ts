import type { startGateway, startWorker } from '../services.ts'
import type { Answer } from './answer.ts'
import type { Who } from './tokens.ts'

/** What is attacked. */
export interface Attacked {
  readonly gateway: Awaited<ReturnType<typeof startGateway>>
  readonly worker: Awaited<ReturnType<typeof startWorker>>
}

/** One attack, and what it must be answered with. */
export interface HostileCase {
  readonly name: string
  /** Default: the gateway. */
  readonly to?: 'gateway' | 'worker'
  /** Whose good token it bears. Default: none. */
  readonly as?: Who
  /** Default: GET; POST where there is a body. */
  readonly method?: string
  /** As it is sent: nothing of it is encoded or resolved. */
  readonly path?: string
  /** As they are sent; a list of pairs may name one twice. */
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [name: string, value: string])[]
  /** Sent as JSON; a string or bytes as they are. */
  readonly body?: unknown
  /** The bytes of the whole request, instead of the above. */
  readonly raw?: string | Uint8Array
  /** What asks by itself, instead of all the above. */
  readonly request?: (attacked: Attacked) => Promise<Answer>
  /** The exact status; 0 where the server hangs up without a word. */
  readonly status: number
  /** The exact code of the problem. Default: the answer is no problem. */
  readonly code?: string
}

/** The bytes of a case's request. */
export function bytesOf({ raw, ...one }: HostileCase, tokenOf: (who: Who) => string): string | Uint8Array {
  if (raw !== undefined) return raw
  const body = one.body === undefined ? undefined : bodyOf(one.body)
  const given = pairsOf(one.headers)
  const names = new Set(given.map(([name]) => name.toLowerCase()))
  const usual = Object.entries({
    Host: '127.0.0.1',
    Connection: 'close',
    ...(one.as === undefined ? {} : { Authorization: `Bearer ${tokenOf(one.as)}` }),
    ...(body === undefined
      ? {}
      : { 'Content-Type': 'application/json', 'Content-Length': String(body.length) }),
  }).filter(([name]) => !names.has(name.toLowerCase()))
  const method = one.method ?? (body === undefined ? 'GET' : 'POST')
  const lines = [...usual, ...given].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const head = `${method} ${one.path ?? '/'} HTTP/1.1\r\n${lines}\r\n`
  return Buffer.concat([Buffer.from(head), body ?? Buffer.alloc(0)])
}

function pairsOf(headers: HostileCase['headers'] = {}): (readonly [name: string, value: string])[] {
  return Array.isArray(headers) ? [...headers] : Object.entries(headers)
}

function bodyOf(body: unknown): Buffer {
  if (typeof body === 'string') return Buffer.from(body)
  return body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
}
