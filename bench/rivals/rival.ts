import { BenchProcess, type StartOptions } from '../child-process.ts'
import { LoadClient, type Target } from '../load-client.ts'
import { nativeProgram } from '../native-program.ts'
import { nchanMissing, startNchan } from './nchan.ts'
import { signedTokens, type Words } from './signed-tokens.ts'
import { GROUP, startTributary } from './tributary.ts'

/** A server that does the same work: a GET is a stream, a POST goes to all streams. */
export interface Rival {
  /** For people; `--only` knows it by its key. */
  readonly title: string
  readonly target: Pick<Target, 'get' | 'post' | 'body' | 'postHeader'>
  start(options?: StartOptions): Promise<BenchProcess>
  /** A file of words for its streams, and who takes it away. */
  words?(): Promise<Words>
  /** Why it cannot run here. */
  missing?(): string | undefined
}

const ROOT_TARGET = { get: '/', post: '/', body: '{"event":"tick","data":%s}' }

function nodeRival(title: string, file: string): Rival {
  const start = (options: StartOptions = {}) =>
    BenchProcess.start(`bench/rivals/${file}`, {}, { ...options, role: 'server' })
  return { title, target: ROOT_TARGET, start }
}

export const RIVALS = {
  floor: {
    title: 'floor (C)',
    target: ROOT_TARGET,
    start: () => BenchProcess.startProgram(nativeProgram('floor'), 'server'),
  },
  bare: nodeRival('bare node:http', 'bare-node.ts'),
  raw: nodeRival('bare Node, raw writes', 'bare-node-raw.ts'),
  'better-sse': nodeRival('better-sse', 'better-sse.ts'),
  'fastify-sse': nodeRival('@fastify/sse', 'fastify-sse.ts'),
  nchan: {
    title: 'Nchan',
    target: {
      get: '/stream',
      post: '/publish',
      // Its body is the data itself; the type comes in a header.
      body: '%s',
      postHeader: 'X-EventSource-Event: tick',
    },
    start: startNchan,
    missing: nchanMissing,
  },
  tributary: {
    title: 'Tributary',
    target: {
      get: `/api/sse/managed/connect/group/${GROUP}?userId=u%d`,
      post: `/api/sse/managed/broadcast/group/${GROUP}`,
      body: '{"event":"tick","data":%s}',
    },
    start: startTributary,
  },
  'tributary-signed': {
    title: 'Tributary, signed tokens',
    target: {
      get: `/api/sse/managed/connect/group/${GROUP}?token=%s`,
      post: `/api/sse/managed/broadcast/group/${GROUP}`,
      body: '{"event":"tick","data":%s}',
    },
    start: startTributary,
    words: signedTokens,
  },
} satisfies Readonly<Record<string, Rival>>

export type RivalName = keyof typeof RIVALS

/** Those of a comma-separated list that can run here; what cannot is said. */
export function rivalsOf(list: string): readonly RivalName[] {
  const names = list.split(',')
  const known = (name: string): name is RivalName => Object.hasOwn(RIVALS, name)
  const unknown = names.find((name) => !known(name))
  if (unknown !== undefined) {
    throw new Error(`${unknown} is not one of ${Object.keys(RIVALS).join(', ')}`)
  }
  return names.filter(known).filter((name) => {
    const rival: Rival = RIVALS[name]
    const why = rival.missing?.()
    if (why !== undefined) process.stderr.write(`Without ${rival.title}: ${why}.\n`)
    return why === undefined
  })
}

/** A server that runs, and the client on it. */
export interface Trial extends AsyncDisposable {
  readonly server: BenchProcess
  readonly client: LoadClient
}

/** Starts a server anew, and a client beside it. */
export async function startTrial(name: RivalName, options: StartOptions = {}): Promise<Trial> {
  const rival: Rival = RIVALS[name]
  const words = await rival.words?.()
  const server = await rival.start(options)
  const file = words === undefined ? {} : { words: words.file }
  const client = new LoadClient({ ...rival.target, ...file, port: server.port, pid: server.pid })
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      // The client first: a server that is asked to end would wait for its streams.
      await client[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await words?.[Symbol.asyncDispose]()
    },
  }
}

/** Begins with another one each round, so that no one always comes first. */
export function rotated<T>(all: readonly T[], round: number): readonly T[] {
  const from = round % all.length
  return [...all.slice(from), ...all.slice(0, from)]
}
