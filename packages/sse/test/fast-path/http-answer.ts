import { SseDecoder } from '@tributary/protocol'

/** One answer as it stands in the bytes of a connection. */
export interface HttpAnswer {
  readonly status: number
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly chunked: boolean
  /** Without the framing. */
  readonly body: Buffer
  /** Whether its end was there. */
  readonly complete: boolean
}

const HEAD_END = '\r\n\r\n'

/**
 * The answers in all that a server has sent, each but the last with its end. Strict: what RFC 9112 does not allow
 * throws, and so does anything behind the last.
 *
 * @param methods of the requests, in their order. Default: all GET.
 */
export function readAnswers(bytes: Buffer, methods: readonly string[] = []): HttpAnswer[] {
  const answers: HttpAnswer[] = []
  let rest = bytes
  while (rest.length > 0) {
    const { answer, length } = readAnswer(rest, methods[answers.length] ?? 'GET')
    rest = rest.subarray(length)
    // Those that only announce another are no answers.
    if (answer.status >= 200) answers.push(answer)
    if (!answer.complete && rest.length > 0) throw new Error('bytes follow an answer without an end')
  }
  return answers
}

function readAnswer(bytes: Buffer, method: string): { answer: HttpAnswer; length: number } {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd === -1) throw new Error(`no head: ${bytes.subarray(0, 200).toString('latin1')}`)
  const [statusLine = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3}) [ -~]+$/.exec(statusLine)?.[1])
  if (Number.isNaN(status)) throw new Error(`no status: ${statusLine}`)
  const headers = Object.fromEntries(lines.map(headerOf))
  const chunked = headers['transfer-encoding'] === 'chunked'
  const rest = bytes.subarray(headEnd + HEAD_END.length)
  const { body, complete, length } = bodyOf(rest, { status, method, chunked, headers })
  return { answer: { status, headers, chunked, body, complete }, length: headEnd + HEAD_END.length + length }
}

function headerOf(line: string): [string, string] {
  const [, name = '', value = ''] = /^([!#$%&'*+.^_`|~\w-]+): ([ -~\t]*)$/.exec(line) ?? []
  if (name === '') throw new Error(`no header: ${line}`)
  return [name.toLowerCase(), value]
}

interface Framing {
  readonly status: number
  readonly method: string
  readonly chunked: boolean
  readonly headers: Readonly<Record<string, string>>
}

function bodyOf(bytes: Buffer, { status, method, chunked, headers }: Framing) {
  const none = Buffer.alloc(0)
  if (method === 'HEAD' || status < 200 || status === 204) return { body: none, complete: true, length: 0 }
  if (chunked) return readChunks(bytes)
  const { 'content-length': length } = headers
  // Until the connection ends.
  if (length === undefined) return { body: bytes, complete: true, length: bytes.length }
  const body = bytes.subarray(0, Number(length))
  return { body, complete: body.length === Number(length), length: body.length }
}

/** The chunks that are there; the last may be cut off, where the connection was. */
function readChunks(bytes: Buffer): { body: Buffer; complete: boolean; length: number } {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const line = bytes.subarray(at, lineEnd === -1 ? undefined : lineEnd).toString('latin1')
    if (!(lineEnd === -1 ? /^([1-9a-f][0-9a-f]*|0)?\r?$/ : /^([1-9a-f][0-9a-f]*|0)$/).test(line)) {
      throw new Error(`no chunk size at ${at}: ${JSON.stringify(line.slice(0, 100))}`)
    }
    const size = Number.parseInt(line, 16)
    const start = lineEnd + 2
    const isCut = lineEnd === -1 || bytes.length < start + size + 2
    if (isCut) {
      if (lineEnd !== -1) parts.push(bytes.subarray(start, start + size))
      return { body: Buffer.concat(parts), complete: false, length: bytes.length }
    }
    if (bytes.toString('latin1', start + size, start + size + 2) !== '\r\n') {
      throw new Error(`a chunk of ${size} at ${at} does not end`)
    }
    at = start + size + 2
    if (size === 0) return { body: Buffer.concat(parts), complete: true, length: at }
    parts.push(bytes.subarray(start, start + size))
  }
}

/** The events of a stream's body: the number where one has one, else its type. */
export function eventsOf(body: Buffer): (number | string)[] {
  const events: (number | string)[] = []
  const decoder = new SseDecoder({
    onEvent: ({ type, data }) => {
      const said: unknown = JSON.parse(data)
      const isNumbered = type === 'said' && typeof said === 'object' && said !== null && 'n' in said
      events.push(isNumbered ? Number(said.n) : type)
    },
  })
  decoder.feed(body)
  return events
}
