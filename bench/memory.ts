/**
 * What a stream holds: 10,000 streams that say nothing, the same after events, and after a tenth of them came back.
 * Of Tributary's each has a user of its own and is in a group. A server that runs on Node is made to collect first.
 */

import type { BenchProcess } from './child-process.ts'
import { comparisonOptions } from './comparison-options.ts'
import { median, report } from './figures.ts'
import type { HeapFigures } from './heap-figures.ts'
import type { LoadClient } from './load-client.ts'
import { RIVALS, type RivalName, rotated, startTrial } from './rivals/rival.ts'

const DEFAULT_ROUNDS = 3
const DEFAULT_RIVALS = 'bare,better-sse,fastify-sse,nchan,tributary'
const STREAMS = 10_000
/** Opened and written to before, so that what the first of them makes for all is not counted as theirs. */
const EARLIER_STREAMS = 200
const RECONNECTS = 1_000
const TRAFFIC = { publishers: 1, bytes: 100, seconds: 3 }
const TARGET_KB = 16
const AIM_KB = 8

/** KB a stream, at one moment. */
interface Held {
  readonly rss: number
  /** Heap and what lies outside of it; not of a server in C. */
  readonly collected?: number
}

interface Measured {
  readonly rival: RivalName
  readonly round: number
  readonly idle: Held
  readonly afterTraffic: Held
  readonly afterReconnects: Held
}

export async function benchMemory(args: readonly string[]): Promise<void> {
  const { rounds, rivals } = comparisonOptions(args, { rounds: DEFAULT_ROUNDS, only: DEFAULT_RIVALS })
  const results: Measured[] = []
  for (let round = 0; round < rounds; round++) {
    for (const rival of rotated(rivals, round)) results.push({ rival, round, ...(await measure(rival)) })
  }
  const rows = rivals.map((rival) => rowOf(results.filter((result) => result.rival === rival)))
  report(`memory: KB a stream, ${STREAMS} streams, ${rounds} rounds`, rows, {
    bench: 'memory',
    rounds,
    targetKb: TARGET_KB,
    aimKb: AIM_KB,
    results,
  })
}

async function measure(rival: RivalName): Promise<Omit<Measured, 'rival' | 'round'>> {
  await using trial = await startTrial(rival, { nodeArgs: ['--expose-gc'], imports: ['./heap-figures.ts'] })
  const { server, client } = trial
  await client.open(EARLIER_STREAMS)
  await client.publish(TRAFFIC)
  const before = await figuresOf(rival, server, client)
  const held = async (): Promise<Held> => {
    const now = await figuresOf(rival, server, client)
    return {
      rss: (now.rssKb - before.rssKb) / STREAMS,
      ...(now.collectedKb !== undefined &&
        before.collectedKb !== undefined && {
          collected: (now.collectedKb - before.collectedKb) / STREAMS,
        }),
    }
  }
  await client.open(EARLIER_STREAMS + STREAMS)
  const idle = await held()
  await client.publish(TRAFFIC)
  const afterTraffic = await held()
  await client.reconnect(RECONNECTS)
  return { idle, afterTraffic, afterReconnects: await held() }
}

async function figuresOf(rival: RivalName, server: BenchProcess, client: LoadClient) {
  const { rssKb } = await client.idle()
  if (!runsOnNode(rival)) return { rssKb }
  const figures = await server.ask('collect', isHeapFigures)
  return { rssKb: figures.rssKb, collectedKb: figures.heapKb + figures.externalKb }
}

function runsOnNode(rival: RivalName): boolean {
  return rival !== 'nchan' && rival !== 'floor'
}

function rowOf(own: readonly Measured[]) {
  const kb = (values: readonly (number | undefined)[]) => {
    const known = values.filter((value) => value !== undefined)
    return known.length === 0 ? '' : median(known).toFixed(1)
  }
  const [first] = own
  return {
    server: first === undefined ? '' : RIVALS[first.rival].title,
    'idle, resident': kb(own.map(({ idle }) => idle.rss)),
    'idle, heap and buffers': kb(own.map(({ idle }) => idle.collected)),
    'after events, resident': kb(own.map(({ afterTraffic }) => afterTraffic.rss)),
    'after events, heap and buffers': kb(own.map(({ afterTraffic }) => afterTraffic.collected)),
    'after 1,000 came back, resident': kb(own.map(({ afterReconnects }) => afterReconnects.rss)),
    'after 1,000 came back, heap and buffers': kb(
      own.map(({ afterReconnects }) => afterReconnects.collected),
    ),
  }
}

function isHeapFigures(answer: unknown): answer is HeapFigures {
  return typeof answer === 'object' && answer !== null && 'heapKb' in answer
}
