import { once } from 'node:events'
import { createServer } from 'node:http'
import { type EventStore, StoreUnavailableError } from '@tributary/eventlog'
import { type Clock, systemClock } from '@tributary/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { createGatewayApp } from '../src/app.ts'
import { readGatewayConfig } from '../src/config.ts'
import { createDeps } from '../src/deps.ts'

/** Whose waits are a hundredth: what is waited for in vain here never comes. */
const hastyClock: Clock = {
  now: () => systemClock.now(),
  elapsed: () => systemClock.elapsed() * 100,
  after: (delayMs, callback) => systemClock.after(delayMs / 100, callback),
  every: (intervalMs, callback) => systemClock.every(intervalMs, callback),
}

/** An origin whose streams never begin. */
async function serveSilence(): Promise<string> {
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return `http://127.0.0.1:${address.port}`
}

/** Makes the disk of a store one that can be full: then nothing is appended to any log. */
function withDisk(store: EventStore): { full: boolean } {
  const disk = { full: false }
  const open = store.open.bind(store)
  const refuse = () => Promise.reject(new StoreUnavailableError('the disk is full'))
  store.open = async (name, options) => {
    const log = await open(name, options)
    const append = log.append.bind(log)
    const close = log.close.bind(log)
    log.append = (...given) => (disk.full ? refuse() : append(...given))
    log.close = (...given) => (disk.full ? refuse() : close(...given))
    return log
  }
  return disk
}

test.each([
  ['/api/sse-proxy/relay/sse-emitter', (url: string) => ({ endpoint: url })],
  ['/api/sse-proxy/merge-streams/sse-emitter', (url: string) => [url, `${url}/other`]],
])(
  'a run of %s is not said to be cancelled where that is not stored, and stops all the same',
  async (path, of) => {
    const origin = await serveSilence()
    const env = { NODE_ENV: 'test', LOG_LEVEL: 'silent', STORE: 'memory', OUTBOUND_ALLOW: '127.0.0.1' }
    const config = readGatewayConfig({ ...env, RELAY_ALLOWED_ORIGINS: origin })
    const deps = await createDeps(config, { clock: hastyClock })
    const app = await createGatewayApp(deps)
    onTestFinished(() => app.close().then(() => deps.close()))
    const disk = withDisk(deps.store)
    const headers = { accept: 'application/json' }
    const started = await app.inject({ method: 'POST', url: path, headers, payload: of(`${origin}/stream`) })
    const { runId } = started.json()
    disk.full = true
    const cancel = () => app.inject({ method: 'POST', url: `/api/runs/${runId}/cancel` })
    const refused = await cancel()
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '5'])
    expect(refused.json()).toMatchObject({
      code: 'store_unavailable',
      detail: expect.stringContaining(
        'the run is cancelled, but a crash before that is stored would undo it',
      ),
    })
    disk.full = false
    const again = await cancel()
    expect([again.statusCode, again.json()]).toMatchObject([200, { runId, status: 'cancelled' }])
  },
)
