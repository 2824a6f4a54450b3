import type { IncomingMessage, Server } from 'node:http'

/** An event as it is posted to every rival. */
export interface Posted {
  readonly event: string
  readonly data: unknown
}

/** The service's own: where thousands of readers come at once, Node's 511 would be what is measured. */
const BACKLOG = 16_384

const ANSWER = JSON.stringify({ success: true })
/** The head of the answer to a POST. */
export const ANSWER_HEAD = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(ANSWER) }
export { ANSWER }

export const STREAM_HEAD = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }

/** Calls back with the event of a POST, once its body is whole. */
export function readPosted(request: IncomingMessage, onEvent: (event: Posted) => void): void {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (text: string) => {
    body += text
  })
  request.on('end', () => onEvent(JSON.parse(body)))
}

/** An event as it goes over the wire. */
export function frameOf({ event, data }: Posted): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

/** Listens on a free port, says where, and ends when it is asked to. */
export function serve(server: Server): void {
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${address.port}` })}\n`)
  })
  process.on('SIGTERM', () => process.exit(0))
}
