import type { RedisServer } from '@tributary/testkit'

/** What a Redis has done and holds, at one moment. */
export interface RedisFigures {
  readonly atMs: number
  /** Calls of each command since it began. */
  readonly calls: ReadonlyMap<string, number>
  readonly cpuS: number
  readonly usedMemoryKb: number
  /** Connections that have subscribed to something. */
  readonly subscribers: number
  readonly connections: number
}

export async function redisFigures(redis: RedisServer): Promise<RedisFigures> {
  const info = async (section: string) => String(await redis.run('INFO', section))
  const [stats, cpu, memory] = [await info('commandstats'), await info('cpu'), await info('memory')]
  const list = async (...type: string[]) =>
    String(await redis.run('CLIENT', 'LIST', ...type)).match(/^id=/gm)?.length ?? 0
  return {
    atMs: performance.now(),
    calls: new Map(
      [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name = '', count]) => [
        name,
        Number(count),
      ]),
    ),
    cpuS: numberIn(cpu, 'used_cpu_sys') + numberIn(cpu, 'used_cpu_user'),
    usedMemoryKb: numberIn(memory, 'used_memory') / 1_024,
    subscribers: await list('TYPE', 'pubsub'),
    connections: await list('TYPE', 'normal'),
  }
}

/**
 * What each command was called for one of `count` between two moments, beside what is called anyway, as between `idle` and
 * the first of them; where it was called for one in a hundred at least.
 */
export function callsPer(
  count: number,
  idle: RedisFigures,
  before: RedisFigures,
  after: RedisFigures,
): Record<string, number> {
  const share = (after.atMs - before.atMs) / (before.atMs - idle.atMs)
  const callsOf = (name: string, { calls }: RedisFigures) => calls.get(name) ?? 0
  const rates = [...after.calls.keys()].map((name) => {
    const anyway = share * (callsOf(name, before) - callsOf(name, idle))
    return [name, (callsOf(name, after) - callsOf(name, before) - anyway) / count] as const
  })
  return Object.fromEntries(
    rates.filter(([, rate]) => rate >= 0.01).map(([name, rate]) => [name, Number(rate.toFixed(3))]),
  )
}

function numberIn(text: string, name: string): number {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1])
}
