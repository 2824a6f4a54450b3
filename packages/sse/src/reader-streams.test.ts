import { LocalUserQuota } from '@tributary/quota'
import { FakeClock } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { StreamServer } from './stream-server.ts'

const refused = (code: string) => expect.objectContaining({ code, retryAfterS: 10 })

it('takes so many streams of one reader, wherever he is, beside others and those of nobody', async () => {
  const streams = new StreamServer({ clock: new FakeClock(), readers: new LocalUserQuota({ maxHolds: 2 }) })
  const first = await streams.admitReader('alice')
  await streams.admitReader('alice', { address: '192.0.2.1' })
  const third = streams.admitReader('alice', { address: '192.0.2.2' })
  await expect(third).rejects.toThrow(/MAX_RUN_STREAMS_PER_USER/)
  await expect(third).rejects.toEqual(refused('user_connection_limit'))
  for (const reader of ['bob', undefined, undefined, undefined]) await streams.admitReader(reader)
  expect(streams.admitted).toBe(6)
  first.release()
  first.release()
  await streams.admitReader('alice')
  await expect(streams.admitReader('alice')).rejects.toEqual(refused('user_connection_limit'))
  expect(streams.admitted).toBe(6)
})

it('tells of places that nobody gave back, with the reader’s, and gives them back', async () => {
  const clock = new FakeClock()
  const readers = new LocalUserQuota({ maxHolds: 1 })
  const streams = new StreamServer({ clock, readers, maxStreams: 2 })
  const kept = streams.admit()
  await streams.admitReader('alice')
  clock.advance(119_999)
  expect(streams.faults()).toEqual([])
  kept.release()
  clock.advance(1)
  const [fault, ...others] = streams.faults()
  expect([fault, others]).toMatchObject([{ kind: 'leaked_hold', id: 'stream 2' }, []])
  await fault?.correct()
  await fault?.correct()
  expect([streams.admitted, [...readers.held()], streams.faults()]).toEqual([0, [], []])
})

it('takes no place of a reader who finds no room at the server', async () => {
  const readers = new LocalUserQuota({ maxHolds: 1 })
  const streams = new StreamServer({ clock: new FakeClock(), readers, maxStreamsPerAddress: 1 })
  const own = streams.admit({ address: '192.0.2.1' })
  const asked = streams.admitReader('alice', { address: '192.0.2.1' })
  await expect(asked).rejects.toEqual(refused('address_connection_limit'))
  expect([...readers.held()]).toEqual([])
  own.release()
  await streams.admitReader('alice', { address: '192.0.2.1' })
})
