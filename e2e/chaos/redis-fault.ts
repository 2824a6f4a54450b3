import { setTimeout as delay } from 'node:timers/promises'
import type { RedisServer } from '@tributary/testkit'
import type { Cluster } from '../cluster/cluster.ts'
import { pingRedis } from '../cluster/redis-network.ts'
import type { Turns } from '../cluster/turns.ts'

/** What is done to Redis, and to what is in front, one thing at a time each. */
export interface RedisTargets {
  readonly cluster: Cluster
  readonly turns: { readonly redis: Turns; readonly nginx: Turns }
}

/** A process that is not one of ours. */
interface Stoppable {
  readonly pid: number
  kill(): Promise<void>
  pause(): void
  resume(): void
  restart(): Promise<void>
}

/** For how long a failover is waited for before what was killed comes back whatever became of it, in ms. */
const FAILOVER_LIMIT_MS = 8_000

/** kill -9, and a start after `ms`. */
export async function killed(turns: Turns, one: Stoppable | undefined, ms: number): Promise<string> {
  const before = one?.pid
  await turns.take(async () => {
    await one?.kill()
    await delay(ms)
    await one?.restart()
  })
  return `process ${before} is now ${one?.pid}`
}

/** SIGSTOP, and SIGCONT after `ms`; who asks it meanwhile is answered then. */
export async function stopped(
  turns: Turns,
  one: Stoppable | undefined,
  ask: () => Promise<unknown>,
  ms: number,
): Promise<string> {
  let effect = ''
  await turns.take(async () => {
    effect = await frozen(one, ask, ms)
  })
  return effect
}

async function frozen(one: Stoppable | undefined, ask: () => Promise<unknown>, ms: number): Promise<string> {
  one?.pause()
  const answered = answeredAfter(ask)
  try {
    await delay(ms)
  } finally {
    one?.resume()
  }
  return answered
}

/** Says how long an answer took. */
export async function answeredAfter(ask: () => Promise<unknown>): Promise<string> {
  const beganAtMs = performance.now()
  try {
    await ask()
    return `answered after ${Math.round(performance.now() - beganAtMs)} ms`
  } catch (error) {
    return `not answered: ${error}`
  }
}

/** kill -9 of the master; it comes back, as the replica of who took over, `ms` after that. */
export async function killMaster({ cluster: { redis }, turns }: RedisTargets, ms: number): Promise<string> {
  let effect = 'no failover'
  await turns.redis.take(async () => {
    const before = await redis.master()
    await before.kill()
    const moved = redis.withSentinel?.failedOver(before).catch(() => undefined)
    const now = await Promise.race([moved, delay(FAILOVER_LIMIT_MS)])
    if (now !== undefined) effect = movedTo(before, now)
    await delay(ms)
    await before.restart()
  })
  return effect
}

/** SIGTERM of the master, and a start at once. */
export async function restartMaster({ cluster: { redis }, turns }: RedisTargets): Promise<string> {
  let effect = ''
  await turns.redis.take(async () => {
    const master = await redis.master()
    const before = master.pid
    await master.restart()
    effect = `process ${before} is now ${master.pid}`
  })
  return effect
}

/** SIGSTOP of the master: where that is long, another takes over, and it does not know when it goes on. */
export async function stopMaster({ cluster: { redis }, turns }: RedisTargets, ms: number): Promise<string> {
  let effect = ''
  await turns.redis.take(async () => {
    const master = await redis.master()
    const answered = await frozen(master, () => pingRedis(master.port), ms)
    effect = `${answered}, ${movedTo(master, await redis.master())}`
  })
  return effect
}

/** Has the master do nothing else for `ms`. */
export async function sleepMaster({ cluster: { redis }, turns }: RedisTargets, ms: number): Promise<string> {
  let effect = ''
  await turns.redis.take(async () => {
    const beganAtMs = performance.now()
    await (await redis.master()).run('DEBUG', 'SLEEP', ms / 1_000)
    effect = `${Math.round(performance.now() - beganAtMs)} ms`
  })
  return effect
}

/** `SENTINEL FAILOVER`, without a fault. */
export async function failOver({ cluster: { redis }, turns }: RedisTargets): Promise<string> {
  let effect = ''
  await turns.redis.take(async () => {
    const before = await redis.master()
    // Refused where the replica is not up to it, as just after another.
    const refusal = await redis.withSentinel?.failover().catch((error: unknown) => String(error))
    effect = refusal ?? movedTo(before, await redis.master())
  })
  return effect
}

export async function killReplica(targets: RedisTargets, ms: number): Promise<string> {
  return killed(targets.turns.redis, await replicaOf(targets), ms)
}

export async function stopReplica(targets: RedisTargets, ms: number): Promise<string> {
  const replica = await replicaOf(targets)
  return stopped(targets.turns.redis, replica, () => pingRedis(replica?.port ?? 0), ms)
}

export function killSentinel({ cluster, turns }: RedisTargets, index: number, ms: number): Promise<string> {
  return killed(turns.redis, cluster.redis.sentinels[index], ms)
}

export function stopSentinel({ cluster, turns }: RedisTargets, index: number, ms: number): Promise<string> {
  const sentinel = cluster.redis.sentinels[index]
  return stopped(turns.redis, sentinel, () => pingRedis(sentinel?.port ?? 0), ms)
}

/** Closes all connections of a kind to the master. */
export async function killClients(
  { cluster: { redis }, turns }: RedisTargets,
  type: 'normal' | 'pubsub',
): Promise<string> {
  let count: unknown
  await turns.redis.take(async () => {
    count = await (await redis.master()).run('CLIENT', 'KILL', 'TYPE', type)
  })
  return `${count} connections`
}

async function replicaOf({ cluster: { redis } }: RedisTargets): Promise<RedisServer | undefined> {
  const master = await redis.master()
  return redis.servers.find((server) => server !== master)
}

function movedTo(before: RedisServer, now: RedisServer): string {
  return before === now
    ? `the master is still ${now.port}`
    : `the master moved from ${before.port} to ${now.port}`
}
