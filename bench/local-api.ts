/** An API that answers at once, or `DELAY_MS` later: a process of its own, for the worker and its rival alike. */
import { createServer } from 'node:http'

const delayMs = Number(process.env.DELAY_MS ?? 0)

const BODY = JSON.stringify({ id: 1, name: 'Ada', email: 'ada@example.com', tags: ['a', 'b', 'c'] })

const server = createServer((_request, response) => {
  const answer = () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(BODY) })
    response.end(BODY)
  }
  if (delayMs === 0) answer()
  else setTimeout(answer, delayMs)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${address.port}` })}\n`)
})
process.on('SIGTERM', () => process.exit(0))
