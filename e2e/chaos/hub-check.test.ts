import { describe, expect, it } from 'vitest'
import { checkHub } from './hub-check.ts'
import type { HubNote, HubReaderRecord, PublishRecord } from './ledger.ts'

const publish = (key: string, n: number | undefined, topic = 'all', publisher = key): PublishRecord => ({
  key,
  publisher,
  topic,
  ids: n === undefined ? [] : [`1700000000000-${n}`],
})
const event = (key: string, n: number): HubNote => ({ kind: 'event', id: `1700000000000-${n}`, key })
const gap = (from: number, to: number): HubNote => ({
  kind: 'gap',
  from: `1700000000000-${from}`,
  to: `1700000000000-${to}`,
  reason: 'expired',
})
const reader = (...notes: HubNote[]): HubReaderRecord => ({
  name: 'ann',
  topics: new Set(['all', 'user:ann']),
  notes,
})

const three = [publish('a', 1), publish('b', 2), publish('c', 3)]
const check = (publishes: readonly PublishRecord[], notes: readonly HubNote[], gapsAllowed = false) =>
  checkHub(publishes, [reader(...notes)], { gapsAllowed })

describe('the check of the hub', () => {
  it('passes what came once, in order, and where it was said to be', () => {
    expect(check(three, [event('a', 1), event('b', 2), event('c', 3)])).toEqual([])
  })

  it('passes what was for others, and what nobody was promised', () => {
    const publishes = [...three, publish('d', 4, 'user:ben'), publish('e', undefined)]
    expect(check(publishes, [event('a', 1), event('b', 2), event('c', 3)])).toEqual([])
    expect(check(publishes, [event('a', 1), event('b', 2), event('c', 3), event('e', 5)])).toEqual([])
  })

  it.each<[string, HubNote[], string]>([
    ['a lost event', [event('a', 1), event('c', 3)], 'ann never got b'],
    ['the last event lost', [event('a', 1), event('b', 2)], 'ann never got c'],
    ['everything lost', [], 'ann never got a'],
    ['a duplicate', [event('a', 1), event('b', 2), event('b', 2), event('c', 3)], 'ann got b twice'],
    [
      'a duplicate under another id',
      [event('a', 1), event('b', 2), event('c', 3), event('b', 4)],
      'ann got b twice',
    ],
    [
      'two events the other way round',
      [event('b', 2), event('a', 1), event('c', 3)],
      'ann got 1700000000000-1 (a) after 1700000000000-2',
    ],
    [
      'an event at another id than was acknowledged',
      [event('a', 1), event('b', 2), event('c', 7)],
      'ann got c at 1700000000000-7, but',
    ],
    [
      'an event of nobody',
      [event('a', 1), event('b', 2), event('c', 3), event('z', 4)],
      'ann got z at 1700000000000-4, which nobody',
    ],
    [
      'an event without an id',
      [event('a', 1), { kind: 'event', id: '', key: 'b' }, event('c', 3)],
      'ann got  (b) after 1700000000000-1',
    ],
    ['a gap that is not due', [gap(0, 1), event('b', 2), event('c', 3)], 'ann was told a gap: expired'],
  ])('finds %s', (_, notes, violation) => {
    expect(check(three, notes)).toContainEqual(expect.stringContaining(violation))
  })

  it('finds what went to a stranger', () => {
    expect(check([publish('a', 1, 'user:ben')], [event('a', 1)])).toEqual([
      'ann got a, which was for user:ben',
    ])
  })

  it('finds what nobody was promised, twice', () => {
    expect(check([publish('a', undefined)], [event('a', 1), event('a', 2)])).toEqual([
      'ann got a twice: at 1700000000000-1 and at 1700000000000-2',
    ])
  })

  it('lets a gap excuse what it covers, and no more', () => {
    expect(check(three, [gap(0, 2), event('c', 3)], true)).toEqual([])
    expect(check(three, [gap(0, 1), event('c', 3)], true)).toEqual([
      'ann never got b, which was acknowledged at 1700000000000-2 for all',
    ])
  })

  it('finds a key that was answered with two ids, and an id that was given twice', () => {
    const twice = { ...publish('a', 1), ids: ['1700000000000-1', '1700000000000-2'] }
    expect(check([twice], [event('a', 1)])).toContainEqual(expect.stringContaining('under several ids'))
    expect(check([publish('a', 1), publish('b', 1)], [event('a', 1)])).toContainEqual(
      'publishes a and b were acknowledged under one id, 1700000000000-1',
    )
  })

  it('finds what was placed before what its publisher had been acknowledged', () => {
    const publishes = [publish('a', 2, 'all', 'p'), publish('b', 1, 'all', 'p')]
    expect(check(publishes, [event('b', 1), event('a', 2)])).toEqual([
      'publish b at 1700000000000-1 stands before a, which was acknowledged before it was sent',
    ])
  })

  describe('of a log that may have lost something', () => {
    const rewind = (from: number, to: number): HubNote => ({
      kind: 'gap',
      from: `1700000000000-${from}`,
      to: `1700000000000-${to}`,
      reason: 'ahead',
    })
    const back: HubNote = { kind: 'back', from: '1700000000000-2', to: '1700000000000-1' }
    const losing = {
      kept: new Set(['1700000000000-1', '1700000000000-3']),
      isEarlier: (key: string) => key === 'old',
    }
    const checkLosing = (publishes: readonly PublishRecord[], notes: readonly HubNote[]) =>
      checkHub(publishes, [reader(...notes)], { gapsAllowed: false, losing })

    it('passes what was lost where that is told, and what comes once more', () => {
      const notes = [event('a', 1), rewind(1, 0), event('old', 0), event('a', 1), event('c', 3)]
      expect(checkLosing(three, notes)).toEqual([])
      expect(checkLosing(three, [event('a', 1), gap(1, 1), event('a', 1), event('c', 3)])).toEqual([])
      expect(checkLosing(three, [event('a', 1), event('b', 2), rewind(2, 1), back, event('c', 3)])).toEqual(
        [],
      )
    })

    it('passes what was lost and stored again at another place, and what came before it had one', () => {
      const two = three.slice(0, 2)
      expect(checkLosing(two, [event('a', 1), event('b', 3)])).toEqual([])
      const unplaced: HubNote = { kind: 'event', id: '1700000000000-1~node.7', key: 'b' }
      expect(checkLosing(two, [event('a', 1), unplaced])).toEqual([])
      // Read where it stood for a moment, of which the log knows nothing in the end.
      expect(checkLosing([publish('c', 3)], [event('c', 2)])).toEqual([])
      expect(checkLosing(two, [event('a', 3), event('b', 4)])).toEqual([
        'ann got a at 1700000000000-3, but it was acknowledged at 1700000000000-1',
      ])
    })

    it.each<[string, HubNote[], string]>([
      ['what was lost and not told', [event('a', 1), event('c', 3)], 'ann never got b'],
      ['what is there and did not come', [event('a', 1), rewind(1, 0), event('a', 1)], 'ann never got c'],
      [
        'a duplicate without a loss',
        [event('a', 1), event('a', 1), rewind(1, 0), event('c', 3)],
        'ann got a twice',
      ],
      [
        'a step back without a loss',
        [event('a', 1), event('b', 2), back, event('c', 3)],
        'ann was sent back',
      ],
    ])('finds %s', (_, notes, violation) => {
      expect(checkLosing(three, notes)).toContainEqual(expect.stringContaining(violation))
    })

    it('asks nobody who came when all was over for what was lost before', () => {
      const late = { ...reader(event('a', 1), event('c', 3)), isLate: true }
      expect(checkHub(three, [late], { gapsAllowed: false, losing })).toEqual([])
      expect(checkHub(three, [{ ...late, notes: [event('a', 1)] }], { gapsAllowed: false, losing })).toEqual([
        'ann never got c, which was acknowledged at 1700000000000-3 for all',
      ])
    })

    it('finds a key that stands in the log twice', () => {
      const twice = { ...publish('a', 1), ids: ['1700000000000-1', '1700000000000-3'] }
      expect(checkLosing([twice], [event('a', 3)])).toContainEqual(
        expect.stringContaining('stands in the log at'),
      )
    })
  })

  it('passes what came once before it had a place, and finds it when it comes there, too', () => {
    const sent: HubNote = { kind: 'event', id: '1700000000000-2~node.1', key: 'c' }
    const before = [event('a', 1), event('b', 2)]
    expect(check(three, [...before, sent])).toEqual([])
    // Its place was behind what was for others.
    expect(check([publish('a', 1), publish('c', 3)], [event('a', 1), sent])).toEqual([])
    expect(check(three, [...before, sent, event('c', 3)])).toContainEqual(
      expect.stringContaining('ann got c twice'),
    )
  })
})
