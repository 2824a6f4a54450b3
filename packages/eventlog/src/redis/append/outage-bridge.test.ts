import { formatEventId } from '@tributary/protocol'
import { expect, test } from 'vitest'
import type { LogEntry } from '../../event-log.ts'
import { placedEntry } from '../../log-entry.ts'
import { LogState } from '../log-state.ts'
import { storedDraft } from '../stored-entry.ts'
import { AnsweredAppends } from './answered-appends.ts'
import { type AppendRequest, type Attempt, markOf } from './append-request.ts'
import { KeyedEntries } from './keyed-entries.ts'
import { OutageBridge } from './outage-bridge.ts'

const NODE = 'node-a'

const attempt = (k: number, key?: string): Attempt => {
  const draft = storedDraft({ event: { type: 'said', data: k, source: 'test' } })
  const once = key === undefined ? {} : { once: { key, fingerprint: 'f', windowMs: 60_000 } }
  return { request: { drafts: [draft], bridges: true, ...once }, k, again: false, sinceN: 0 }
}

/** The entry of an append as it stands in the log. */
function placedHere(request: AppendRequest, n: number, origin = 'node-b.7'): LogEntry {
  const [draft] = request.drafts
  const mark = markOf(request)
  if (draft === undefined) throw new Error('it has an entry')
  const position = { n, ms: 100 }
  const entry: LogEntry = { ...placedEntry(draft, position, formatEventId(position)), origin }
  return mark === undefined ? entry : { ...entry, aliases: [mark] }
}

/** A log of whose head this node knows, and what is handed on of it without a place. */
function bridged(headN: number) {
  const head = { n: headN, ms: 100 }
  const fields = { life: 'life', runId: undefined, zero: { n: 0, ms: 100 }, head, closed: false }
  const state = new LogState(
    { ...fields, attributes: new Map(), attributesVersion: 0 },
    { onMoved: () => undefined, onClosed: () => undefined },
  )
  const [keyed, answered] = [new KeyedEntries(), new AnsweredAppends()]
  const heard: (string | undefined)[] = []
  const bridge = new OutageBridge({
    name: 'hub',
    state,
    keyed,
    answered,
    store: { node: NODE, outage: { maxEvents: 100, maxBytes: 100_000 }, now: () => 200 },
    send: async () => undefined,
    isAway: () => true,
    handOn: ({ origin }) => void heard.push(origin),
  })
  /** What follows has read it at its place. */
  const handOn = (request: AppendRequest, origin: string, n: number) => {
    const placed = placedHere(request, n, origin)
    keyed.place(placed)
    bridge.handedOn([placed])
  }
  return { bridge, answered, keyed, heard, handOn }
}

test('what was answered and not handed on goes before what comes now', () => {
  const { bridge, answered, heard } = bridged(10)
  for (const k of [1, 2]) answered.add(attempt(k), { n: 9 + k, ms: 100 }, 0)
  bridge.take(attempt(3))
  expect(heard).toEqual([`${NODE}.2`, `${NODE}.3`])
})

test('what was lost and is handed on where it was stored again does not come once more before that is answered', () => {
  const { bridge, answered, heard, handOn } = bridged(10)
  const [own, other] = [attempt(1), attempt(2, 'key')]
  for (const item of [own, other]) answered.add(item, { n: 20 + item.k, ms: 100 }, 0)
  handOn(own.request, `${NODE}.1`, 9)
  handOn(other.request, 'node-b.7', 10)
  bridge.take(attempt(3))
  expect(heard).toEqual([`${NODE}.3`])
})

test('what was handed on, and the log has lost since, is there for who reads it anew', () => {
  const { bridge, answered, keyed, handOn } = bridged(10)
  const own = attempt(1, 'key')
  answered.add(own, { n: 11, ms: 100 }, 0)
  handOn(own.request, `${NODE}.1`, 11)
  keyed.forgetPlaces()
  answered.rewound(10)
  bridge.rewound(10)
  expect(bridge.provisional.all.map(({ origin }) => origin)).toEqual([`${NODE}.1`])
})

test('what was handed on, and is asked for again after the log has lost it, is kept and does not come once more', () => {
  const { bridge, keyed, heard, handOn } = bridged(10)
  handOn(attempt(1, 'key').request, 'node-b.7', 11)
  expect(bridge.take(attempt(1, 'key'))).toMatchObject({ kind: 'known', n: 11 })
  keyed.forgetPlaces()
  bridge.rewound(10)
  expect(bridge.take(attempt(2, 'key'))).toMatchObject({ kind: 'appended' })
  expect([heard, bridge.size]).toEqual([[], 1])
  // For who finds its place anew.
  expect(bridge.provisional.all.map(({ origin }) => origin)).toEqual([`${NODE}.2`])
})

test('who comes is not offered again what another node has stored for its key, and he has read at its place', () => {
  const { bridge, answered, keyed } = bridged(10)
  const [own, other] = [attempt(1), attempt(2, 'key')]
  for (const item of [own, other]) answered.add(item, { n: 10 + item.k, ms: 100 }, 0)
  answered.rewound(10)
  bridge.rewound(10)
  const offered = () => bridge.unplaced.map(({ origin }) => origin)
  expect(offered()).toEqual([`${NODE}.1`, `${NODE}.2`])
  keyed.place(placedHere(other.request, 11))
  expect(offered()).toEqual([`${NODE}.1`])
  // Until that is lost, too.
  keyed.forgetPlaces()
  expect(offered()).toEqual([`${NODE}.1`, `${NODE}.2`])
})
