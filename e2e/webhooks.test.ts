import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startGateway as startProcess } from './processes.ts'
import { startGateway } from './services.ts'
import { WEBHOOK_SECRET, WebhookReceiver } from './webhook-receiver.ts'

const TOLD = { timeout: 20_000 }
const GROUP = '/api/sse/managed/connect/group/g'
const TOKENS = 'ann-token=ann;bob-token=bob'
const as = (user: string) => ({ headers: { authorization: `Bearer ${user}-token` } })

const envOf = (receiver: WebhookReceiver) => ({
  AUTH_STATIC_TOKENS: TOKENS,
  WEBHOOK_URL: receiver.url,
  WEBHOOK_SECRET,
  PRESENCE_GRACE_MS: '0',
})

describe('webhooks', () => {
  it('tell who connects, comes, goes and disconnects, signed, in order for each user', async () => {
    await using receiver = await WebhookReceiver.start()
    await using gateway = await startGateway({ env: envOf(receiver) })
    for (const user of ['ann', 'bob']) {
      await using reader = await EventCollector.open(gateway.url + GROUP, as(user))
      await reader.waitFor('connection')
      await expect.poll(() => receiver.of(user), TOLD).toContain('join g')
    }
    for (const user of ['ann', 'bob']) {
      await expect.poll(() => receiver.of(user), TOLD).toHaveLength(4)
      const told = receiver.of(user)
      expect(told).toEqual(['connect', 'join g', 'disconnect gone', 'leave g'])
    }
    expect(new Set(receiver.ids).size).toBe(receiver.ids.length)
    expect(receiver.faults).toEqual([])
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
    expect(metrics).toMatch(/tributary_webhook_events_total\{.*outcome="sent".*\} 8/)
    expect(metrics).toMatch(/tributary_webhook_pending(\{.*\})? 0/)
  })

  it('are sent again until they are taken, and nothing is missing then', async () => {
    await using receiver = await WebhookReceiver.start()
    await using gateway = await startGateway({ env: { ...envOf(receiver), WEBHOOK_EVENTS: 'join,leave' } })
    receiver.refusing = 503
    {
      await using reader = await EventCollector.open(gateway.url + GROUP, as('ann'))
      await reader.waitFor('connection')
      await expect.poll(() => receiver.refused, TOLD).toBeGreaterThan(0)
    }
    receiver.refusing = 0
    await expect.poll(() => receiver.of('ann'), TOLD).toEqual(['join g', 'leave g'])
    expect(receiver.events).toHaveLength(2)
  })

  it('are there after the process was killed, which tells who is not connected any more', async () => {
    await using receiver = await WebhookReceiver.start()
    const folder = await mkdtemp(join(tmpdir(), 'tributary-webhooks-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const env = { ...envOf(receiver), STORE: 'sqlite', DATA_DIR: folder }
    receiver.refusing = 500
    {
      await using gateway = await startProcess({ env })
      await using reader = await EventCollector.open(gateway.url + GROUP, as('ann'))
      await reader.waitFor('connection')
      await expect.poll(() => receiver.refused, TOLD).toBeGreaterThan(0)
      await gateway.kill()
    }
    receiver.refusing = 0
    await using _gateway = await startProcess({ env })
    await expect
      .poll(() => receiver.of('ann').toSorted(), TOLD)
      .toEqual(['connect', 'disconnect node_gone', 'join g', 'leave g'])
    expect(receiver.faults).toEqual([])
  })

  it.each(['', 'whsec_', `whsec_${'x'.repeat(20)}`, 'a secret of thirty-two characters!'])(
    'are not begun with %j as a secret',
    async (WEBHOOK_SECRET) => {
      await using receiver = await WebhookReceiver.start()
      const starting = startGateway({ env: { ...envOf(receiver), WEBHOOK_SECRET } })
      await expect(starting).rejects.toThrow('WEBHOOK_SECRET')
    },
  )
})
