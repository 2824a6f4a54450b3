import { EventCollector, lastingPort } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { type ServiceProcess, startGateway } from './processes.ts'
import { postJson } from './services.ts'

const ADMIN = { authorization: 'Bearer test-token' }
const STREAM = '/api/sse/managed/connect'

/** A gateway whose sockets can be cut without a word to it, and a stream of it that was. */
async function gatewayWithCutStream(env: Readonly<Record<string, string>>, onLine?: (line: string) => void) {
  const cutPort = await lastingPort()
  const gateway = await startGateway({
    env: {
      CONSISTENCY_CHECK_MS: '200',
      CUT_PORT: String(cutPort),
      NODE_OPTIONS: `--import=${new URL('silent-cuts.ts', import.meta.url).href}`,
      ...env,
    },
    ...(onLine === undefined ? {} : { onLine }),
  })
  const reader = await EventCollector.open(`${gateway.url}${STREAM}`, { headers: ADMIN })
  await reader.waitFor('connection')
  await (await fetch(`http://127.0.0.1:${cutPort}`)).text()
  await reader.ended
  return gateway
}

async function connectionsOf({ url }: ServiceProcess): Promise<number> {
  const answer = await fetch(`${url}/api/sse/health`, { headers: ADMIN })
  return (await answer.json()).connections.total
}

describe('a gateway that holds a stream whose socket went without a word', () => {
  it('finds it, lets go of it, and tells what it found', async () => {
    const corrected = Promise.withResolvers<string>()
    const onLine = (line: string) => {
      if (line.includes('was set right')) corrected.resolve(line)
    }
    await using gateway = await gatewayWithCutStream({}, onLine)
    const line = await corrected.promise
    expect(JSON.parse(line)).toMatchObject({ found: [{ kind: 'leaked_connection', corrected: true }] })
    expect(await connectionsOf(gateway)).toBe(0)
    const now = await postJson(`${gateway.url}/api/sse/health`, { action: 'consistency_check' }, ADMIN)
    expect(await now.json()).toMatchObject({
      success: true,
      report: { found: [], skipped: [], totals: { leaked_connection: 1, leaked_timer: 0 } },
    })
    const details = await fetch(`${gateway.url}/api/sse/health?details=true`, { headers: ADMIN })
    expect((await details.json()).details.consistency.totals.leaked_connection).toBe(1)
    const scrape = await (await fetch(`${gateway.url}/metrics`)).text()
    expect(scrape).toContain('tributary_consistency_faults_total{kind="leaked_connection"} 1')
  })

  it('ends where it is to fail fast, and says what it found', async () => {
    const gateway = await gatewayWithCutStream({ CONSISTENCY_ACTION: 'fail_fast' })
    expect(await gateway.exited).toBe(1)
    expect(gateway.output).toMatch(/gateway: What is held does not fit together: leaked_connection "[^"]+"/)
    await gateway.kill()
  })
})
