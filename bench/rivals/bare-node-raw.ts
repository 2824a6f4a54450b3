/** node:http at its best: the frame is encoded once with its chunk header, and goes to the sockets themselves. */
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { ANSWER, ANSWER_HEAD, frameOf, readPosted, STREAM_HEAD, serve } from './posted.ts'

const sockets = new Set<Socket>()

serve(
  createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, STREAM_HEAD)
      response.flushHeaders()
      const { socket } = response
      if (socket === null) return
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      return
    }
    readPosted(request, (event) => {
      const frame = frameOf(event)
      const chunk = Buffer.from(`${Buffer.byteLength(frame).toString(16)}\r\n${frame}\r\n`)
      for (const socket of sockets) socket.write(chunk)
      response.writeHead(200, ANSWER_HEAD)
      response.end(ANSWER)
    })
  }),
)
