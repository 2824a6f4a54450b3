import { connect } from 'node:net'

/** The longest that an answer may take, in ms. */
const ANSWER_LIMIT_MS = 15_000

/** What came back to a request: all of it, or of a stream what came with its head. */
export interface Answer {
  readonly status: number
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** All bytes that came, also those behind the answer. */
  readonly raw: string
}

interface SendOptions {
  readonly untilClosed?: boolean
  readonly end?: boolean
  readonly later?: () => Promise<string | Uint8Array>
}

/**
 * Sends bytes as they are on a socket of their own, and resolves with the answer. `status` is 0 where the socket
 * closed without one.
 *
 * @param options `untilClosed`: reads on behind the answer until the server hangs up, to see whether there is a second.
 * `end`: sends no more afterwards. `later`: what is sent behind the bytes, once it resolves.
 * @throws Error where it takes longer than 15 s.
 */
export async function sendBytes(
  url: string,
  bytes: string | Uint8Array,
  { untilClosed = false, end = false, later }: SendOptions = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const timer = setTimeout(() => reject(new Error(`No answer within ${ANSWER_LIMIT_MS} ms`)), ANSWER_LIMIT_MS)
  let raw = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    raw += text
    if (!untilClosed && isWhole(raw)) resolve(raw)
  })
  // What came before the other side hung up is the answer; the test says whether it is the right one.
  socket.on('error', () => resolve(raw))
  socket.on('end', () => resolve(raw))
  socket.on('close', () => resolve(raw))
  if (end) socket.end(bytes)
  else socket.write(bytes)
  try {
    if (later !== undefined) socket.write(await later())
    return readAnswer(await promise)
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

function isWhole(raw: string): boolean {
  const { status, headers, body } = readAnswer(raw)
  if (status === 0 || status === 100) return false
  if (headers['content-type']?.startsWith('text/event-stream') === true) return true
  if (status === 204) return true
  const { 'content-length': length } = headers
  if (length !== undefined) return body.length >= Number(length)
  return raw.endsWith('\r\n0\r\n\r\n')
}

function readAnswer(raw: string): Answer {
  const final = raw.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')
  const headEnd = final.indexOf('\r\n\r\n')
  const [first = '', ...lines] = final.slice(0, Math.max(headEnd, 0)).split('\r\n')
  const pairs = lines.map((line) => /^([^:]+): *(.*)$/.exec(line)?.slice(1) ?? [line, ''])
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0),
    headers: Object.fromEntries(pairs.map(([name = '', value = '']) => [name.toLowerCase(), value])),
    body: headEnd === -1 ? '' : Buffer.from(final.slice(headEnd + 4), 'latin1').toString('utf8'),
    raw,
  }
}

/** The stable code of a problem; undefined where the answer is none. */
export function codeOf({ headers, body }: Answer): unknown {
  if (headers['content-type']?.startsWith('application/problem+json') !== true) return undefined
  return JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)).code
}
