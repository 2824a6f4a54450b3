import { ProblemError } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { StreamAdmission, type StreamLimits } from './stream-admission.ts'

function admission(limits: StreamLimits) {
  let elapsedMs = 0
  const admission = new StreamAdmission(limits, () => elapsedMs)
  return {
    admission,
    pass: (ms: number) => {
      elapsedMs += ms
    },
    /** How many of so many come in. */
    take: (count: number, address?: string) =>
      Array.from({ length: count }, () =>
        refused(() => admission.take(address === undefined ? {} : { address })),
      ).filter((no) => !no).length,
  }
}

function refused(take: () => unknown): ProblemError | undefined {
  try {
    take()
    return undefined
  } catch (error) {
    if (error instanceof ProblemError) return error
    throw error
  }
}

describe('StreamAdmission', () => {
  it('takes as many as there may be, and another for each that is given back, once', () => {
    const { admission: a } = admission({ maxStreams: 2 })
    const [first] = [a.take(), a.take()]
    const no = refused(() => a.take())
    expect(no?.toProblem()).toMatchObject({ status: 503, code: 'too_many_connections', retryable: true })
    expect([no?.retryAfterS, no?.message]).toEqual([5, expect.stringContaining('MAX_CONNECTIONS')])
    first?.release()
    first?.release()
    expect(a.size).toBe(1)
    a.take()
    expect(refused(() => a.take())?.code).toBe('too_many_connections')
  })

  it('takes one in the place of another that is held, and not of one that was given back', () => {
    const { admission: a } = admission({ maxStreams: 1 })
    const first = a.take()
    const second = a.take({ instead: [first] })
    first.release()
    expect(a.size).toBe(1)
    expect(refused(() => a.take({ instead: [first] }))?.code).toBe('too_many_connections')
    second.release()
    expect(a.size).toBe(0)
  })

  it('takes so many of one address, beside others and those of none', () => {
    const { admission: a, take } = admission({ maxStreamsPerAddress: 3 })
    const first = a.take({ address: '192.0.2.1' })
    expect(take(5, '192.0.2.1')).toBe(2)
    expect(take(5, '::ffff:192.0.2.2')).toBe(3)
    expect(take(2, '2001:db8::1') + take(2, '2001:db8::2')).toBe(3)
    expect(take(9)).toBe(9)
    const no = refused(() => a.take({ address: '192.0.2.1' }))
    expect([no?.statusCode, no?.retryable, no?.retryAfterS]).toEqual([429, true, 10])
    expect(no?.message).toContain('MAX_CONNECTIONS_PER_ADDRESS')
    expect(refused(() => a.take({ address: '192.0.2.9', instead: [first] }))).toBeUndefined()
    expect(refused(() => a.take({ address: '192.0.2.1', instead: [first] }))).toBeUndefined()
  })

  it('keeps nothing of an address that has no stream', () => {
    const { admission: a } = admission({ maxStreamsPerAddress: 3 })
    const slots = Array.from({ length: 100 }, (_, index) => a.take({ address: `192.0.2.${index % 50}` }))
    expect(a.networkCount).toBe(50)
    for (const slot of slots) slot.release()
    expect([a.size, a.networkCount]).toEqual([0, 0])
  })

  it('takes a burst of one second, and then as many as time gives', () => {
    const { admission: a, pass, take } = admission({ streamsPerS: 10 })
    expect(take(50)).toBe(10)
    pass(99)
    expect(take(1)).toBe(0)
    pass(1)
    expect(take(2)).toBe(1)
    pass(500)
    expect(take(50)).toBe(5)
    pass(3_600_000)
    expect(take(50)).toBe(10)
    const no = refused(() => a.take())
    expect([no?.code, no?.statusCode, no?.retryable, no?.retryAfterS]).toEqual([
      'connect_rate_limited',
      429,
      true,
      1,
    ])
    expect(no?.message).toContain('CONNECT_RATE_PER_S')
  })

  it('uses up nothing of its rate for who is refused otherwise', () => {
    const { admission: a, take } = admission({ maxStreams: 1, streamsPerS: 2 })
    const slot = a.take()
    expect(take(5)).toBe(0)
    slot.release()
    expect(take(5)).toBe(1)
  })

  it('limits nothing where the limits are 0, and 10,000 streams where none is given', () => {
    expect(admission({ maxStreams: 0 }).take(10_050, '::1')).toBe(10_050)
    expect(admission({}).take(10_050, '::1')).toBe(10_000)
  })
})
