import { type LocalServer, serveHttp } from './local-server.ts'

/** An API whose answers wait until they are let go. */
export interface HeldApi extends AsyncDisposable, Pick<LocalServer, 'url' | 'sockets'> {
  /** The calls that came, as `GET /path`, in order. */
  readonly calls: readonly string[]
  /** Answers the oldest call of a path that waits, once there is one. */
  answer(path: string, body?: string): Promise<void>
  /** Resolves once there were so many calls. */
  called(count: number): Promise<void>
}

export async function serveHeld(): Promise<HeldApi> {
  const calls: string[] = []
  const waiting = new Map<string, ((body: string) => void)[]>()
  let arrived = Promise.withResolvers<void>()
  const api = await serveHttp(({ method, url = '' }, response) => {
    calls.push(`${method} ${url}`)
    waiting.set(url, [...(waiting.get(url) ?? []), (body) => response.end(body)])
    response.on('close', () => waiting.delete(url))
    arrived.resolve()
    arrived = Promise.withResolvers()
  })
  return {
    url: api.url,
    sockets: api.sockets,
    calls,
    async answer(path, body = 'done') {
      let answer = waiting.get(path)?.shift()
      for (; answer === undefined; answer = waiting.get(path)?.shift()) await arrived.promise
      answer(body)
    },
    async called(count) {
      while (calls.length < count) await arrived.promise
    },
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  }
}
