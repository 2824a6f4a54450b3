import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
import { expect, it, vi } from 'vitest'
import { openHub } from './hub-under-test.ts'

it('goes on after a restart: with its keys, its cursors, and those it closed for good', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-hub-'))
  await using owned = new AsyncDisposableStack()
  owned.defer(() => rm(folder, { recursive: true, force: true }))
  const open = async () =>
    openHub({ store: await SqliteEventStore.open({ path: join(folder, 'events.db') }) })
  const once = { key: 'k' }

  const before = await open()
  const { sink } = await before.connect({ userId: 'ann' })
  const sent = await before.hub.sendToUser('ann', 'e', 1, { once })
  const unkept = await before.hub.broadcast('e', 2, { ephemeral: true, once: { key: 'l' } })
  expect([sent.delivered, unkept]).toEqual([1, { success: true, id: null, delivered: 1 }])
  const { cursor } = await before.hub.poll({ userId: 'ann', lastEventId: '0' })
  expect([cursor, sink.lastEventId]).toEqual([sent.id, sent.id])
  await before[Symbol.asyncDispose]()

  await using after = await open()
  const { hub } = after
  expect(await hub.sendToUser('ann', 'e', 1, { once })).toEqual({ ...sent, delivered: 0, replayed: true })
  expect(await hub.broadcast('e', 2, { ephemeral: true, once: { key: 'l' } })).toMatchObject({
    replayed: true,
  })
  await expect(hub.sendToUser('ann', 'e', 2, { once })).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
  await hub.sendToUser('ann', 'e', 3)
  const again = await after.connect({ userId: 'ann', lastEventId: cursor })
  const page = await hub.poll({ userId: 'ann', lastEventId: cursor })
  await vi.waitFor(() => expect(again.sink.received).toEqual([3]))
  expect(page.events.map(({ data }) => data)).toEqual([3])
})
