/** node:http as one would write it: the frame is encoded once, and goes to every response with `write`. */
import { createServer, type ServerResponse } from 'node:http'
import { ANSWER, ANSWER_HEAD, frameOf, readPosted, STREAM_HEAD, serve } from './posted.ts'

const streams = new Set<ServerResponse>()

serve(
  createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, STREAM_HEAD)
      response.flushHeaders()
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    readPosted(request, (event) => {
      const frame = Buffer.from(frameOf(event))
      for (const stream of streams) stream.write(frame)
      response.writeHead(200, ANSWER_HEAD)
      response.end(ANSWER)
    })
  }),
)
