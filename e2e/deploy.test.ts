import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { GatewayConfigSchema, readGatewayConfig } from '@tributary/gateway/config'
import { readWorkerConfig, WorkerConfigSchema } from '@tributary/worker/config'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments, parse as parseYaml } from 'yaml'
import { DEFAULT_NODES } from './cluster/cluster.ts'
import { nodeEnv } from './cluster/cluster-node.ts'

const ROOT = resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

type Kind = 'gateway' | 'worker'
type Env = Readonly<Record<string, string>>
interface ComposeService {
  readonly build?: { readonly dockerfile: string }
  readonly environment?: Env
  readonly expose?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly stop_grace_period?: string
  readonly healthcheck?: unknown
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>
}
interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly volumes?: Readonly<Record<string, unknown>>
}

const compose = (file: string): Compose => parseYaml(read(file), { merge: true })
const schemaOf = { gateway: GatewayConfigSchema.properties, worker: WorkerConfigSchema.properties }
const readConfig = { gateway: readGatewayConfig, worker: readWorkerConfig }
const kindOf = (name: string): Kind => (name.startsWith('gateway') ? 'gateway' : 'worker')

/** A value as docker compose reads it where nothing is set: `${NAME:-default}`, or what must be set and is. */
function asRead(text: string): string {
  return text.replace(/\$\{\w+(:[-?])([^}]*)\}/g, (_, operator, rest) =>
    operator === ':-' ? rest : 'set-by-hand-to-thirty-two-characters',
  )
}

const envOf = ({ environment = {} }: ComposeService): Env =>
  Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, asRead(String(value))]))

describe('docker-compose.yml', () => {
  const { services, volumes = {} } = compose('docker-compose.yml')
  const nodes = Object.entries(services).filter(([, { build }]) => build !== undefined)
  const named = (kind: Kind) => nodes.map(([name]) => name).filter((name) => kindOf(name) === kind)

  it('has what `npm run cluster` starts', () => {
    expect(Object.keys(services).toSorted()).toEqual(
      [...named('gateway'), ...named('worker'), 'nginx', 'redis'].toSorted(),
    )
    expect([named('gateway'), named('worker')].map(({ length }) => length)).toEqual([
      DEFAULT_NODES,
      DEFAULT_NODES,
    ])
  })

  it.each(nodes)(
    'tells %s what makes it a node of the cluster, and nothing that it does not know',
    (name, service) => {
      const kind = kindOf(name)
      const env = envOf(service)
      expect(Object.keys(env).filter((variable) => !(variable in schemaOf[kind]))).toEqual([])
      expect(env).toMatchObject(
        Object.fromEntries(
          Object.keys(nodeEnv({ url: '', redisUrl: '' })).map((variable) => [variable, expect.any(String)]),
        ),
      )
      const config = readConfig[kind](env)
      const { NODE_URL = '', REDIS_URL = '' } = config
      expect([new URL(NODE_URL).hostname, [new URL(NODE_URL).port]]).toEqual([name, service.expose])
      expect(new URL(REDIS_URL).hostname).toBe('redis')
      expect(service.depends_on).toMatchObject({ redis: { condition: 'service_healthy' } })
      expect(Number.parseInt(service.stop_grace_period ?? '', 10) * 1_000).toBeGreaterThan(config.DRAIN_MS)
    },
  )

  it('lets everything be asked for its health, and keeps what has to outlive it', () => {
    for (const [name, service] of Object.entries(services)) {
      const inImage = service.build !== undefined && read(service.build.dockerfile).includes('HEALTHCHECK')
      expect([name, inImage || service.healthcheck !== undefined]).toEqual([name, true])
    }
    const mounted = Object.values(services).flatMap(({ volumes: own = [] }) =>
      own.filter((volume) => !volume.startsWith('.')).map((volume) => volume.split(':', 1).join()),
    )
    expect(mounted.toSorted()).toEqual(Object.keys(volumes).toSorted())
  })

  it('opens nothing but nginx, which knows every gateway', () => {
    expect(Object.keys(services).filter((name) => services[name]?.ports !== undefined)).toEqual(['nginx'])
    const upstreams = [...read('deploy/nginx.conf').matchAll(/^ +server ([\w-]+):8090/gm)].map(
      ([, host]) => host,
    )
    expect(upstreams).toEqual(named('gateway'))
  })

  it('takes every secret from the environment', () => {
    const secrets = Object.values(services).flatMap(({ environment = {} }) =>
      Object.entries(environment).filter(([name]) => /SECRET|PASSWORD|TOKENS|REDIS_URL/.test(name)),
    )
    expect(secrets.length).toBeGreaterThan(8)
    for (const [, value] of secrets) expect(value).toMatch(/\$\{\w+:-/)
  })

  it('in production demands them, and believes nginx alone', () => {
    const production = compose('deploy/production.yml').services
    expect(Object.keys(production).toSorted()).toEqual(Object.keys(services).toSorted())
    const address = production.nginx?.networks?.default?.ipv4_address
    for (const [name, service] of nodes) {
      const { environment = {} } = production[name] ?? {}
      const demanded = Object.entries(environment).filter(([, value]) => String(value).includes(':?'))
      expect(demanded.map(([variable]) => variable).toSorted()).toEqual([
        'AUTH_JWT_SECRET',
        'REDIS_URL',
        'WORKER_SECRET',
      ])
      const config = readConfig[kindOf(name)]({ ...envOf(service), ...envOf(production[name] ?? {}) })
      expect(config.NODE_ENV).toBe('production')
      if (kindOf(name) === 'gateway') expect(config.TRUSTED_PROXIES).toEqual([address])
    }
  })
})

/** What a manifest says somewhere; `undefined` where it says nothing. */
function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (part, key) => (typeof part === 'object' && part !== null ? Reflect.get(part, key) : undefined),
    value,
  )
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const texts = (value: unknown): Env =>
  Object.fromEntries(Object.entries(value ?? {}).map(([name, text]) => [name, String(text)]))

describe('deploy/kubernetes', () => {
  const manifests: unknown[] = globSync('deploy/kubernetes/*.yaml', { cwd: ROOT }).flatMap((file) =>
    parseAllDocuments(read(file)).map((document) => {
      expect([file, ...document.errors]).toEqual([file])
      return document.toJS()
    }),
  )
  const find = (kind: string, name: string) => {
    const found = manifests.filter((one) => at(one, 'kind') === kind && at(one, 'metadata', 'name') === name)
    if (found.length !== 1) throw new Error(`there are ${found.length} ${kind} ${name}`)
    return found[0]
  }
  const common = texts(at(find('ConfigMap', 'tributary'), 'data'))
  const annotations = texts(at(find('Ingress', 'tributary'), 'metadata', 'annotations'))

  it.each<Kind>(['gateway', 'worker'])('lets a %s know its place, and drain before it ends', (kind) => {
    const pod = at(find('Deployment', `tributary-${kind}`), 'spec', 'template', 'spec')
    const container = at(pod, 'containers', 0)
    const { POD_IP = '', ...own } = texts(
      Object.fromEntries(
        list(at(container, 'env')).map((one) => [at(one, 'name'), at(one, 'value') ?? '10.1.2.3']),
      ),
    )
    const env: Env = { ...common, ...own }
    expect(Object.keys(env).filter((variable) => !(variable in schemaOf[kind]))).toEqual([])
    const [AUTH_JWT_SECRET, WORKER_SECRET] = ['x'.repeat(32), 'y'.repeat(32)]
    const NODE_URL = env.NODE_URL?.replace('$(POD_IP)', POD_IP)
    const secrets = { REDIS_URL: 'rediss://redis:6379', AUTH_JWT_SECRET, WORKER_SECRET }
    const config = readConfig[kind]({ ...env, ...secrets, NODE_URL })
    const port = kind === 'gateway' ? 8090 : 8080
    expect([config.NODE_URL, at(container, 'ports', 0, 'containerPort')]).toEqual([
      `http://10.1.2.3:${port}`,
      port,
    ])
    const probes = ['startupProbe', 'livenessProbe', 'readinessProbe']
    expect(probes.map((probe) => at(container, probe, 'httpGet', 'path'))).toEqual([
      '/healthz',
      '/healthz',
      '/readyz',
    ])
    const preStopS = Number(at(container, 'lifecycle', 'preStop', 'exec', 'command', 1))
    expect(at(pod, 'terminationGracePeriodSeconds')).toBeGreaterThan(preStopS + config.DRAIN_MS / 1_000)
  })

  it.each<Kind>(['gateway', 'worker'])(
    'keeps a %s reachable, and scales it by a metric that it has',
    (kind) => {
      const name = `tributary-${kind}`
      const selector = at(find('Deployment', name), 'spec', 'selector')
      expect(at(find('Service', name), 'spec', 'selector')).toEqual(at(selector, 'matchLabels'))
      expect(at(find('PodDisruptionBudget', name), 'spec')).toMatchObject({ selector, maxUnavailable: 1 })
      const scaler = at(find('HorizontalPodAutoscaler', name), 'spec')
      expect(at(scaler, 'scaleTargetRef', 'name')).toBe(name)
      expect(at(scaler, 'minReplicas')).toBeGreaterThan(1)
      const metric = at(scaler, 'metrics', 0, 'pods', 'metric', 'name')
      expect(read('docs/monitoring.md')).toMatch(
        new RegExp(`\\| \`${metric}\` \\| gauge \\| (both|${kind}) \\|`),
      )
    },
  )

  it('neither buffers streams nor sticks to a gateway, and shows no metrics', () => {
    const named = Object.entries(annotations).map(([key, value]) => [key.split('/')[1], value])
    expect(named).toContainEqual(['proxy-buffering', 'off'])
    expect(named.flat().filter((text) => /affinity|sticky/.test(String(text)))).toEqual([])
    const paths = list(at(find('Ingress', 'tributary'), 'spec', 'rules', 0, 'http', 'paths'))
    const shown = paths.map((one) => String(at(one, 'path')))
    expect(shown.length).toBeGreaterThan(0)
    expect(shown.filter((path) => '/metrics'.startsWith(path))).toEqual([])
  })

  it.each([
    'proxy-read-timeout',
    'proxy-send-timeout',
    'proxy-connect-timeout',
    'proxy-next-upstream',
    'proxy-next-upstream-timeout',
    'proxy-buffering',
    'proxy-http-version',
  ])('has the %s of deploy/nginx.conf', (name) => {
    const value = annotations[`nginx.ingress.kubernetes.io/${name}`]
    expect(read('deploy/nginx.conf')).toMatch(new RegExp(`${name.replaceAll('-', '_')} ${value}s?;`))
  })
})
