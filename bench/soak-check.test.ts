import { describe, expect, it } from 'vitest'
import { SoakCheck } from './soak-check.ts'

const NONE = { lost: 0, doubled: 0, disordered: 0, misnumbered: 0, strange: 0, gaps: 0 }
/** The events of group 0 stand at every second place of the log; those of group 1 between them. */
const idOf = (group: number, number: number) => `1700000000000-${2 * number + group}`

/** Two readers of group 0 and one of group 1, to each of which four events were published. */
function checkOf(...received: readonly (readonly number[])[]): SoakCheck {
  const check = new SoakCheck(2, [0, 0, 1])
  for (const group of [0, 1]) {
    for (let number = 1; number <= 4; number++) check.published(group, number, idOf(group, number))
  }
  for (const [reader, numbers] of received.entries()) {
    const group = reader === 2 ? 1 : 0
    for (const number of numbers) check.got(reader, group, number, idOf(group, number))
  }
  return check
}

const all = [1, 2, 3, 4]

describe('the check of a soak', () => {
  it('passes what each reader got once and in order', () => {
    const check = checkOf(all, all, all)
    expect(check.isCaughtUp).toBe(true)
    check.finish()
    expect([check.faults, check.examples, check.received]).toEqual([NONE, [], 12])
  })

  it('passes what was received before its publisher had the answer', () => {
    const check = new SoakCheck(1, [0])
    check.got(0, 0, 1, '1700000000000-1')
    check.published(0, 1, '1700000000000-1')
    check.finish()
    expect(check.faults).toEqual(NONE)
  })

  it.each([
    ['a loss in the middle', [1, 2, 4], { lost: 1 }, 'reader 1 never got 1 events of group 0, the first 3'],
    ['a loss at the beginning', [3, 4], { lost: 2 }, 'reader 1 never got 2 events of group 0, the first 1'],
    ['a loss at the end', [1, 2], { lost: 2 }, 'reader 1 never got 2 events of group 0, the first 3'],
    ['everything lost', [], { lost: 4 }, 'reader 1 never got 4 events of group 0, the first 1'],
    [
      'a doubling',
      [1, 2, 2, 3, 4],
      { doubled: 1 },
      'reader 1 got event 2 of group 0 after 2, and had it before',
    ],
    ['a late doubling', [1, 2, 3, 4, 1], { doubled: 1 }, 'reader 1 got event 1 of group 0 after 4, and had'],
    ['disorder', [1, 3, 2, 4], { disordered: 1 }, 'reader 1 got event 2 of group 0 after 3'],
    ['disorder and a doubling', [1, 3, 2, 2, 4], { disordered: 1, doubled: 1 }, 'after 3, and had it before'],
    [
      'an event too many',
      [1, 2, 3, 4, 5],
      { strange: 1 },
      'reader 1 got event 5 of group 0; 4 were published',
    ],
  ])('finds %s', (_, received, faults, words) => {
    const check = checkOf(all, received, all)
    check.finish()
    expect(check.faults).toEqual({ ...NONE, ...faults })
    expect(check.examples).toContainEqual(expect.stringContaining(words))
  })

  it('waits for readers that have not come as far as what was published', () => {
    expect(checkOf(all, [1, 2, 3], all).isCaughtUp).toBe(false)
  })

  it('finds an event of another group', () => {
    const check = checkOf(all, all, all)
    check.got(2, 0, 4, idOf(0, 4))
    check.finish()
    expect(check.faults).toEqual({ ...NONE, strange: 1 })
  })

  it('finds an event under another id than was answered, and one without', () => {
    const check = checkOf(all, [1, 2, 3], all)
    check.got(1, 0, 4, '1700000000000-99')
    check.got(1, 0, 5, '')
    expect(check.faults.misnumbered).toBe(2)
  })

  it('finds ids that do not rise though the numbers do', () => {
    const check = new SoakCheck(1, [0])
    check.got(0, 0, 1, '1700000000000-7')
    check.got(0, 0, 2, '1700000000000-6')
    expect(check.faults.disordered).toBe(1)
  })

  it('counts a gap as a fault, whatever it excuses', () => {
    const check = checkOf(all, all, all)
    check.gap(0, '{"reason":"expired"}')
    expect([check.faults, check.examples]).toEqual([
      { ...NONE, gaps: 1 },
      ['reader 0 was told a gap: {"reason":"expired"}'],
    ])
  })
})
