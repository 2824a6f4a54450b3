/**
 * Loaded into a service before it starts: who asks at `CUT_PORT` has the sockets of all requests so far destroyed, and
 * nobody told. So a fault would look by which a stream is kept that nobody reads.
 */
import { subscribe } from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import { Socket } from 'node:net'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  const sockets = new Set<Socket>()
  const control = createServer((_request, response) => {
    for (const socket of sockets) socket.removeAllListeners('close').destroy()
    response.end(String(sockets.size))
  })
  subscribe('http.server.request.start', (message) => {
    if (typeof message !== 'object' || message === null || !('socket' in message) || !('server' in message))
      return
    if (message.server !== control && message.socket instanceof Socket) sockets.add(message.socket)
  })
  control.listen(Number(process.env.CUT_PORT), '127.0.0.1')
  control.unref()
}
