import { expect, it } from 'vitest'
import { LogState } from '../log-state.ts'
import { RedisKeys } from '../redis-keys.ts'
import type { FollowerHost } from './follower-host.ts'
import { HandedOn } from './handed-on.ts'
import { LogComparison } from './log-comparison.ts'
import { TopicSubscriptions } from './topic-subscriptions.ts'

it('passes nothing that the server which is read has not, as another may have said how far the log goes', async () => {
  const nothing = () => undefined
  const state = new LogState(
    {
      life: 'life',
      runId: '1',
      zero: { ms: 0, n: 0 },
      head: { ms: 1, n: 1 },
      closed: false,
      attributes: new Map(),
      attributesVersion: 0,
    },
    { onMoved: nothing, onClosed: nothing },
  )
  const subscriptions = new TopicSubscriptions(new RedisKeys('p').log('run:1'), () => ({
    ready: Promise.resolve(),
    isActive: true,
    end: nothing,
  }))
  subscriptions.add(undefined, nothing)
  const moved: number[] = []
  const host: FollowerHost = {
    state,
    handOn: (_, { head }) => void moved.push(head.n),
    entryOf: () => {
      throw new Error('nothing is told')
    },
    onDropped: nothing,
    onEphemeral: nothing,
    rewind: nothing,
    leap: nothing,
    onOvertaken: nothing,
    store: async () => undefined,
    putBack: async () => 'nothing',
    makeAgain: async () => 'gone',
    onCompared: nothing,
    reload: async () => undefined,
    onSuspect: nothing,
    compare: async () => ['ok', 3, 5, '0', 0, 0, '', 3],
    readPage: async () => ({ entries: [], hasMore: false, headN: 1 }),
    unreachable: nothing,
    after: () => nothing,
  }
  const comparison = new LogComparison(host, subscriptions, new HandedOn(subscriptions, state.head))
  expect(await comparison.run()).toBe(false)
  expect(moved).toEqual([])
})
