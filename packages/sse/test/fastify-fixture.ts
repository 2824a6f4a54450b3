import { ProblemError, type StreamQuery } from '@tributary/protocol'
import Fastify from 'fastify'
import { replyWithLog, startOrResume } from '../src/fastify.ts'
import { sseHeaders } from '../src/index.ts'
import { fixture } from './stream-fixture.ts'

export const RUN = 'run_1'

/** A real service with one run, its streams on both kinds of routes, and a route that starts it. */
export async function service() {
  const t = await fixture({ runId: RUN })
  const app = Fastify({ forceCloseConnections: true })
  let started = 0
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof ProblemError)) throw error
    return reply.code(error.statusCode).send(error.toProblem())
  })
  const options = { streams: t.streams, log: t.log, runId: RUN, timeoutMs: 1_000, maxTimeoutMs: 5_000 }
  for (const naming of ['standard', 'emitter'] as const) {
    app.get<{ Querystring: StreamQuery }>(`/${naming}`, async (request, reply) => {
      const { timeout, ...query } = request.query
      const headers = sseHeaders().cors('https://app.example').build()
      const asked = timeout === undefined ? query : { ...query, timeout: Number(timeout) }
      await replyWithLog(reply, { ...options, query: asked, naming, headers })
      return reply
    })
  }
  app.get<{ Querystring: StreamQuery }>('/start', async (request, reply) => {
    const run = await startOrResume(reply, request.query, {
      start: async () => {
        started += 1
        return RUN
      },
      find: (runId) => (runId === RUN ? RUN : undefined),
    })
    if (run !== undefined) await replyWithLog(reply, { ...options, query: request.query, naming: 'emitter' })
    return reply
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const say = (type: string, data: unknown) => t.log.append([{ event: { type, data, source: 'test' } }])
  return {
    ...t,
    app,
    url,
    say,
    end: () => t.log.close({ event: { type: 'complete', data: { runId: RUN }, source: 'test' } }),
    started: () => started,
    async [Symbol.asyncDispose]() {
      t.streams.endAll('drain')
      await app.close()
      await t.store.close()
    },
  }
}
