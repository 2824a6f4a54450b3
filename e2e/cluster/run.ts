/** `npm run cluster`: two gateways, two workers, Redis and nginx as plain processes of this machine. */
import { parseArgs } from 'node:util'
import { findRedis, isFreePort, lastingPort } from '@tributary/testkit'
import { formatLogLine, LEVELS, parseLogLine } from '../../scripts/log-line.ts'
import { Cluster } from './cluster.ts'

const USAGE = `Usage: npm run cluster -- [--gateways N] [--workers N] [--sentinel] [--no-nginx]

  --gateways, --workers   how many, 2 by default
  --sentinel              Redis as a master, its replica and three Sentinels
  --no-nginx              none in front; by default there is one where it is installed
`

/** As in docker-compose.yml and `npm start`, each next node one further; another where it is taken. */
const PORTS = { nginx: 8000, gateway: 8090, worker: 8080, redis: 6379 } as const
/** How long a node that was killed stays away. */
const COME_BACK_MS = 3_000
/** A signal within this time of the first is its echo: npm passes on the Ctrl-C that the terminal gave to us as well. */
const SIGNAL_ECHO_MS = 250

const level = LEVELS[process.env.LOG_LEVEL ?? ''] ?? LEVELS.warn ?? 0

function readOptions() {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      gateways: { type: 'string', default: '2' },
      workers: { type: 'string', default: '2' },
      sentinel: { type: 'boolean', default: false },
      nginx: { type: 'boolean', default: true },
    },
  })
  const [gateways, workers] = [Number(values.gateways), Number(values.workers)]
  for (const count of [gateways, workers]) {
    if (!Number.isInteger(count) || count < 1) throw new Error('There is at least one of each')
  }
  if (findRedis() === undefined) throw new Error('A cluster needs Redis 7: install redis-server')
  return { gateways, workers, sentinel: values.sentinel, ...(values.nginx ? {} : { nginx: false }) }
}

/** The usual port where it is free, else one that is. */
async function portOf(name: string): Promise<number> {
  const [kind = '', number = '1'] = name.split('-')
  const usual = Object.entries(PORTS).find(([known]) => known === kind)?.[1]
  const port = usual === undefined ? undefined : usual + (Number(number) - 1)
  return port !== undefined && (await isFreePort(port)) ? port : lastingPort()
}

function show(name: string, line: string): void {
  const record = parseLogLine(line)
  if (record === undefined) process.stdout.write(`${name} ${line}\n`)
  else if (record.level >= level && record.msg !== 'listening')
    process.stdout.write(`${formatLogLine(name, record)}\n`)
}

function announce({ url, nginx, gateways, workers, redis }: Cluster): void {
  const urls = (nodes: readonly { readonly url: string }[]) => nodes.map((node) => node.url).join('  ')
  const victim = gateways.at(-1)
  process.stdout.write(`
Tributary is up, as a cluster.

  nginx     ${nginx?.url ?? 'none: install one for a single address; until then take any gateway'}
  gateways  ${urls(gateways)}
  workers   ${urls(workers)}
  Redis     ${redis.url}
  page      ${url}/sse-client.html

Try it, each in a terminal of its own:

  curl -N "${url}/api/sse/managed/connect?token=alice-token"
  curl -X POST ${url}/api/sse/managed/send/user/alice -H 'authorization: Bearer test-token' -H 'content-type: application/json' -d '{"event":"hello","data":{"text":"hi"}}'
  kill -9 ${victim?.service.pid}     (${victim?.name}: who reads there resumes at another, and it is back in ${COME_BACK_MS / 1_000} s)

Ctrl-C ends all, and removes what they have stored.
`)
}

async function main(): Promise<void> {
  const options = readOptions()
  const workerPorts = new Map<string, number>()
  for (let number = 1; number <= options.workers; number++) {
    const name = `worker-${number}`
    workerPorts.set(name, await portOf(name))
  }
  const starting = Cluster.start({
    ...options,
    redisPort: await portOf('redis'),
    portOf: async (name) => workerPorts.get(name) ?? portOf(name),
    comeBackMs: COME_BACK_MS,
    env: {
      HOST: '127.0.0.1',
      // nginx on this machine says who asked it.
      TRUSTED_PROXIES: '127.0.0.1',
      // A task may call the sample API of any worker, whichever of them carries it out.
      OUTBOUND_ALLOW: Array.from(workerPorts.values(), (port) => `127.0.0.1:${port}`).join(),
      ...given(),
    },
    onLine: show,
    onFailure: (fault) =>
      void process.stderr.write(`tributary: ${fault.split(':\n', 1).join()}; it is started again\n`),
  })
  endOnSignal(starting)
  announce(await starting)
}

/** What is set for the services, in the environment that this was started in. Addresses are given out here. */
function given(): Record<string, string> {
  const ours =
    /^(AUTH|CONNECT|CONNECTION|CONSISTENCY|CORS|DISCONNECT|DRAIN|HANDLERS|HEADERS|HEARTBEAT|HISTORY|IDEMPOTENCY|IDLE|LOG|MAX|NODE_LEASE|OUTBOUND|OUTBOX|PRESENCE|RATE|REDIS_OUTAGE|REDIS_TIMEOUT|RELAY|REQUEST|RETRY|RUN|RUNS|SENSITIVE|STREAM|TASK|UPSTREAM|WEBHOOK|WORKER_SECRET)(_|$)/
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && ours.test(name) ? [[name, value]] : [],
    ),
  )
}

function endOnSignal(starting: Promise<Cluster>): void {
  let signalledAt = Number.NEGATIVE_INFINITY
  let isEnding = false
  const end = async () => {
    if (performance.now() - signalledAt < SIGNAL_ECHO_MS) return
    signalledAt = performance.now()
    const isImpatient = isEnding
    isEnding = true
    const cluster = await starting
    if (!isImpatient) await cluster.stop()
    await cluster[Symbol.asyncDispose]()
    process.exit(0)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end())
  process.on('disconnect', () => void end())
  // Whoever read our output may go before us; that is no reason to end the nodes.
  for (const out of [process.stdout, process.stderr]) out.on('error', () => undefined)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`tributary: ${error instanceof Error ? error.message : error}\n\n${USAGE}`)
  process.exit(1)
}
