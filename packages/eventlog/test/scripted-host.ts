import type { FollowerHost } from '../src/redis/follow/follower-host.ts'
import { TopicSubscriptions } from '../src/redis/follow/topic-subscriptions.ts'
import { LogState } from '../src/redis/log-state.ts'
import { RedisKeys } from '../src/redis/redis-keys.ts'
import { storedEntry } from '../src/redis/stored-entry.ts'

const nothing = () => undefined

/** A log that this node has handed on up to a place, followed as a whole, and the numbers that it moves to. */
export function scriptedHost(head: { n: number; ms: number }, change: Partial<FollowerHost> = {}) {
  const zero = { ms: 0, n: 0 }
  const fields = { life: 'life', runId: '1', zero, head, closed: false, attributesVersion: 0 }
  const state = new LogState({ ...fields, attributes: new Map() }, { onMoved: nothing, onClosed: nothing })
  const subscriptions = new TopicSubscriptions(new RedisKeys('p').log('run:1'), () => ({
    ready: Promise.resolve(),
    isActive: true,
    end: nothing,
  }))
  subscriptions.add(undefined, (followed) => {
    followed.completeFromN = head.n
  })
  const moved: number[] = []
  const host: FollowerHost = {
    state,
    handOn: (_, place) => {
      state.move(place)
      moved.push(place.head.n)
    },
    entryOf: ({ position, head: text, json }) => storedEntry(text, json, position, state.idOf(position)),
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
    compare: async () => [],
    readPage: async () => ({ entries: [], hasMore: false, headN: head.n }),
    cuts: () => 0,
    unreachable: nothing,
    after: () => nothing,
    ...change,
  }
  return { host, state, subscriptions, moved }
}
