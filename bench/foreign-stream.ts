/** A stream of somebody else: a process of its own that sends as many small events as it is asked for, at full speed. */
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const PER_WRITE = 64

const server = createServer((request, response) => {
  const count = Number(new URL(request.url ?? '/', 'http://foreign').searchParams.get('count'))
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  // Whoever leaves early is no error of a stream.
  pipeline(Readable.from(frames(count)), response).catch(() => undefined)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${address.port}` })}\n`)
})
process.on('SIGTERM', () => process.exit(0))

function* frames(count: number): Generator<string> {
  for (let from = 1; from <= count; from += PER_WRITE) {
    const to = Math.min(from + PER_WRITE - 1, count)
    yield Array.from({ length: to - from + 1 }, (_, index) => frame(from + index)).join('')
  }
}

function frame(n: number): string {
  const data = { n, symbol: 'ACME', price: 100 + (n % 7), volume: 12 }
  return `id: ${n}\nevent: tick\ndata: ${JSON.stringify(data)}\n\n`
}
