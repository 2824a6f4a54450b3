import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@tributary/protocol'
import { createLogger, ServiceMetrics } from '@tributary/service'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type BackendsConfig, openBackends } from '../src/index.ts'

const RUNS = { retention: () => ({ maxEvents: 10, maxAgeMs: 60_000 }) }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-backends-'))
})
afterEach(() => rm(folder, { recursive: true }))

function configOf(given: Partial<BackendsConfig>): BackendsConfig {
  return {
    NODE_ENV: 'test',
    STORE: 'sqlite',
    STORE_SYNC: 'normal',
    DATA_DIR: folder,
    REDIS_PREFIX: 'tributary',
    REDIS_TIMEOUT_MS: 5_000,
    NODE_LEASE_MS: 10_000,
    AUTH_REVOCATION_KEPT_S: 3_600,
    ...given,
  }
}

function open(given: Partial<BackendsConfig>, service: 'gateway' | 'worker' = 'worker') {
  return openBackends(configOf(given), {
    service,
    runsAtOnce: 10,
    clock: systemClock,
    random: Math.random,
    logger: createLogger({ name: service, level: 'silent' }),
    metrics: new ServiceMetrics(systemClock),
  })
}

/** Keeps an attribute in a log, and closes what it was kept in. */
async function keep(given: Partial<BackendsConfig>): Promise<void> {
  await using backends = await open(given)
  const log = await backends.store.open('notes', RUNS)
  await log.append([], { attributes: { kept: 'yes' } })
}

async function isKept(given: Partial<BackendsConfig>, service?: 'gateway' | 'worker'): Promise<boolean> {
  await using backends = await open(given, service)
  const log = await backends.store.open('notes', RUNS)
  return log.attributes.get('kept') === 'yes'
}

describe('the backends of a service on one machine', () => {
  it('keep what they are given in a file of the service', async () => {
    await keep({})
    expect(await isKept({})).toBe(true)
    expect(await isKept({}, 'gateway')).toBe(false)
  })

  it('keep nothing behind their end where they are in memory', async () => {
    await keep({ STORE: 'memory' })
    expect(await isKept({ STORE: 'memory' })).toBe(false)
  })

  it('are this node alone, with its own quotas', async () => {
    await using backends = await open({ STORE: 'memory', MAX_RUNS_PER_USER: 1 })
    expect(await backends.cluster.nodes()).toHaveLength(1)
    expect(backends).toMatchObject({ clustered: false, shared: undefined, fleet: undefined })
    expect(backends).not.toHaveProperty('rateStore')
  })

  it.each([
    ['DATA_DIR', () => ({ DATA_DIR: join(folder, 'file') })],
    ['REDIS_URL', () => ({ REDIS_URL: 'http://127.0.0.1' })],
    [
      'REDIS_TLS_CA_FILE',
      () => ({ REDIS_URL: 'rediss://127.0.0.1', REDIS_TLS_CA_FILE: join(folder, 'none') }),
    ],
    [
      'REDIS_TLS_CA_FILE: .* holds no certificate',
      () => ({ REDIS_URL: 'rediss://127.0.0.1', REDIS_TLS_CA_FILE: join(folder, 'file') }),
    ],
  ])('are refused with the name of the variable that is wrong: %s', async (variable, given) => {
    await writeFile(join(folder, 'file'), 'no folder')
    await expect(open(given())).rejects.toThrow(new RegExp(variable))
  })
})

describeWithRedis('the backends of the services of a cluster', (redis) => {
  it('are what other nodes of their kind have', async () => {
    const given = { REDIS_URL: redis.url, REDIS_PREFIX: redis.prefix() }
    await keep(given)
    expect(await isKept(given)).toBe(true)
    expect(await isKept(given, 'gateway')).toBe(false)
    expect(await isKept({ ...given, REDIS_PREFIX: redis.prefix() })).toBe(false)
  })

  it('know the nodes of all kinds, and leave them when they are closed', async () => {
    const given = { REDIS_URL: redis.url, REDIS_PREFIX: redis.prefix() }
    await using worker = await open(given)
    {
      await using gateway = await open(given, 'gateway')
      expect(gateway).toMatchObject({ clustered: true, limits: { health: { status: 'ok' } } })
      expect((await worker.cluster.nodes()).map(({ service }) => service).toSorted()).toEqual([
        'gateway',
        'worker',
      ])
    }
    expect(await worker.cluster.nodes()).toHaveLength(1)
  })

  it('hear nothing of another cluster of the same prefix, whose database is another', async () => {
    const given = { REDIS_URL: redis.url, REDIS_PREFIX: redis.prefix() }
    await using backends = await open(given)
    await using others = await open({ ...given, REDIS_URL: `${redis.url.replace(/\/$/, '')}/1` })
    const [log, another] = await Promise.all([backends, others].map(({ store }) => store.open('notes', RUNS)))
    if (log === undefined || another === undefined) throw new Error('both are opened')
    const heard: unknown[] = []
    log.onTold(({ json }) => heard.push(json))
    await log.follow(['group:g'])
    const tellBy = (to: typeof log, data: string) =>
      to.tell({ event: { type: 'e', source: 'test', data }, audience: { groups: ['g'] }, timestamp: 1 })
    await tellBy(another, 'theirs')
    await tellBy(log, 'ours')
    await expect.poll(() => heard).toEqual(['"ours"'])
  })
})
