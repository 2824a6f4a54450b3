import {
  ALL_TOPIC,
  connectionTopic,
  groupTopic,
  roleTopic,
  sessionTopic,
  userTopic,
} from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { type HistoryOptions, historyRetention } from './history-retention.ts'

const TOPICS = {
  users: userTopic('a'),
  groups: groupTopic('a'),
  roles: roleTopic('a'),
  sessions: sessionTopic('a'),
  connections: connectionTopic('a'),
  all: ALL_TOPIC,
} as const

function kept(options: HistoryOptions) {
  const retention = historyRetention(options)
  return Object.fromEntries(
    Object.entries(TOPICS).map(([kind, topic]) => {
      const { maxEvents, maxAgeMs } = retention(topic)
      return [kind, [maxEvents, maxAgeMs]]
    }),
  )
}

describe('historyRetention', () => {
  it('keeps what is for users a day, the rest five minutes', () => {
    const rest = [1_000, 300_000]
    expect(kept({})).toEqual({
      users: [1_000, 86_400_000],
      groups: rest,
      roles: rest,
      sessions: rest,
      connections: rest,
      all: rest,
    })
  })

  it('keeps each class by its own count and age', () => {
    const options = {
      historyMaxEvents: 10,
      historyMaxAgeMs: 20,
      historyUserMaxAgeMs: 30,
      history: {
        users: { maxEvents: 1 },
        groups: { maxAgeMs: 2 },
        roles: { maxEvents: 3, maxAgeMs: 4 },
        sessions: { maxEvents: 5 },
        all: { maxEvents: 0, maxAgeMs: 0 },
      },
    }
    expect(kept(options)).toEqual({
      users: [1, 30],
      groups: [10, 2],
      roles: [3, 4],
      sessions: [5, 20],
      connections: [10, 20],
      all: [0, 0],
    })
  })
})
