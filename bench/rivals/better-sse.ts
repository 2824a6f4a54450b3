/** better-sse, with its channel: no option but what it comes with. */
import { createServer } from 'node:http'
import { createChannel, createSession } from 'better-sse'
import { ANSWER, ANSWER_HEAD, readPosted, serve } from './posted.ts'

const channel = createChannel()

serve(
  createServer((request, response) => {
    if (request.method === 'GET') {
      createSession(request, response).then((session) => channel.register(session))
      return
    }
    readPosted(request, ({ event, data }) => {
      channel.broadcast(data, event)
      response.writeHead(200, ANSWER_HEAD)
      response.end(ANSWER)
    })
  }),
)
