import { expect, it } from 'vitest'
import { scriptedHost } from '../../../test/scripted-host.ts'
import { HandedOn } from './handed-on.ts'
import { ToldMessages } from './told-messages.ts'

const HEAD = JSON.stringify({ origin: 'node.1', type: 'said', source: 'test' })

const told = (n: number, ms: number) => `E life node.1 1\n${n} ${ms} 0 0 ${HEAD.length} 1 ${n - 1}\n${HEAD}1`

it('takes nothing that was told by a server that was left, which fits by its number alone', () => {
  const { host, state, subscriptions, moved } = scriptedHost({ n: 5, ms: 100 })
  const messages = new ToldMessages(host, new HandedOn(subscriptions, state.head))
  expect(messages.take(told(6, 99))).toBe(false)
  expect(moved).toEqual([])
  expect(messages.take(told(6, 100))).toBe(true)
  expect(messages.take(told(7, 101))).toBe(true)
  expect(moved).toEqual([6, 7])
})
