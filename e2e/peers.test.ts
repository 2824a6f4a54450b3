import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { RawStream } from './raw-stream.ts'
import { type Service, startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
/** Longer than the grace that a peer has to read the end of its stream. */
const WAIT = { timeout: 20_000 }
/** More than the kernel takes for a socket that nobody reads. */
const MAX_EVENTS = 2_000
const TEXT = 'x'.repeat(60_000)

type Gateway = Pick<Service<Awaited<ReturnType<typeof startGateway>>['deps']>, 'url' | 'deps'>

/** A reader that is a process of its own: stopped, its kernel answers for it, and it reads nothing. */
class FrozenReader implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async open(url: string): Promise<FrozenReader> {
    const code = `require('node:http').get(${JSON.stringify(url)}, (answer) => answer.once('data', () => {
      console.log('reads')
      answer.resume()
    }))`
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGSTOP')
    return new FrozenReader(child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

/** Broadcasts until something is so. */
async function flood({ deps: { hub } }: Gateway, isSo: () => boolean): Promise<number> {
  for (let n = 1; n <= MAX_EVENTS; n++) {
    await hub.broadcast('flood', { n, TEXT })
    await nextTurn()
    if (isSo()) return n
  }
  throw new Error(`it was not so after ${MAX_EVENTS} events`)
}

async function monitor({ url }: Gateway, query = '') {
  return (await fetch(`${url}/api/realtime/monitor${query}`)).json()
}

describe('a peer that does not read', () => {
  it('ends a busy stream at its outbox bound, and its socket after a grace; its neighbour misses nothing', async () => {
    await using gateway = await startGateway({ env: { OUTBOX_MAX_BYTES: '131072' } })
    const { hub } = gateway.deps
    await using neighbour = await EventCollector.open(`${gateway.url}${CONNECT}?userId=ann`)
    await using frozen = await FrozenReader.open(`${gateway.url}${CONNECT}?userId=frozen`)
    expect(frozen).toBeDefined()
    const sent = await flood(gateway, () => !hub.local.isConnected('frozen'))
    expect((await monitor(gateway, '?state=disconnecting')).connections).toMatchObject([
      { userId: 'frozen', state: 'disconnecting' },
    ])
    const last = await neighbour.waitFor(({ data }) => isNumber(data, sent), WAIT.timeout)
    expect(last.type).toBe('flood')
    expect(neighbour.ofType('flood')).toHaveLength(sent)
    await expect.poll(() => hub.local.leavingConnections(), WAIT).toEqual([])
    expect(hub.local.status()).toMatchObject({ totalEmitters: 1, connectionStates: { connected: 1 } })
  })

  it('ends an idle stream at its timeout, and its socket after a grace', async () => {
    await using gateway = await startGateway({ env: { STREAM_TIMEOUT_MS: '1000', HEARTBEAT_MS: '200' } })
    const { hub } = gateway.deps
    await using frozen = await FrozenReader.open(`${gateway.url}${CONNECT}?userId=frozen`)
    expect(frozen).toBeDefined()
    expect(hub.local.isConnected('frozen')).toBe(true)
    await expect.poll(() => hub.local.isConnected('frozen'), WAIT).toBe(false)
    await expect.poll(() => hub.local.leavingConnections(), WAIT).toEqual([])
    gateway.closeIdleConnections()
    await expect.poll(() => gateway.connectionCount(), WAIT).toBe(0)
  })

  it('is stale, and when it is closed by force it goes within the grace', async () => {
    await using gateway = await startGateway({ env: { HEARTBEAT_MS: '200', OUTBOX_MAX_BYTES: '1048576' } })
    const { hub } = gateway.deps
    using reader = new RawStream(`${gateway.url}${CONNECT}?userId=slow`)
    expect(await reader.status()).toBe(200)
    reader.socket.pause()
    const [connection] = hub.local.connectionsOfUser('slow')
    if (connection === undefined) throw new Error('it is not connected')
    await flood(gateway, () => connection.view().outbox.bytes > 0)
    const stale = async () => (await monitor(gateway, '?state=stale')).connections
    await expect.poll(stale, WAIT).toMatchObject([{ userId: 'slow', address: '127.0.0.1' }])
    const { totals, largestOutbox, oldest } = await monitor(gateway)
    expect(totals.byState).toMatchObject({ connected: 0, stale: 1 })
    expect(largestOutbox).toMatchObject({ connectionId: connection.connectionId })
    expect(oldest.connectionId).toBe(connection.connectionId)
    const url = `${gateway.url}/api/sse/managed/connections/${connection.connectionId}`
    expect(await (await fetch(url, { method: 'DELETE' })).json()).toEqual({
      success: true,
      closed: 1,
      local: { closed: 1 },
      acknowledged: [expect.any(String)],
    })
    expect(connection.state).toBe('disconnecting')
    await expect.poll(() => hub.local.leavingConnections(), WAIT).toEqual([])
  })
})

/** Linux says there which timer a socket has: 2 is keepalive. */
const SOCKETS = '/proc/net/tcp'
const readSockets = () => {
  try {
    return readFileSync(SOCKETS, 'utf8')
  } catch {
    return undefined
  }
}
if (readSockets() === undefined) process.stderr.write(`the test of keepalive is skipped: no ${SOCKETS}\n`)

describe('a peer that may be gone without a word', () => {
  it.skipIf(readSockets() === undefined)('is asked for by the kernel, on every stream', async () => {
    await using gateway = await startGateway()
    using hubReader = new RawStream(gateway.url + CONNECT)
    expect(await hubReader.status()).toBe(200)
    const port = Number(new URL(gateway.url).port).toString(16).toUpperCase().padStart(4, '0')
    const timers = () =>
      (readSockets() ?? '')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, local = '', , state]) => local.endsWith(`:${port}`) && state === '01')
        .map(([, , , , , timer = '']) => timer.split(':').map((field) => Number.parseInt(field, 16)))
    // What is sent is confirmed first.
    await expect.poll(() => timers().map(([kind]) => kind), WAIT).toEqual([2])
    const [[, ticks = 0] = []] = timers()
    expect(ticks / 100).toBeLessThanOrEqual(15)
  })
})

function isNumber(data: unknown, n: number): boolean {
  return typeof data === 'object' && data !== null && 'n' in data && data.n === n
}
