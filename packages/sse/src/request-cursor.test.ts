import { ProblemError } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { requestCursor } from './request-cursor.ts'

describe('requestCursor', () => {
  it('takes the header before the query, and the id before the time', () => {
    const all = { lastEventIdHeader: '1-1', lastEventId: '2-2', since: '3' }
    expect(requestCursor(all)?.text).toBe('1-1')
    expect(requestCursor({ ...all, lastEventIdHeader: undefined })?.text).toBe('2-2')
    expect(requestCursor({ since: '3' })).toEqual({
      cursor: { kind: 'time', ms: 3 },
      text: '3',
      isClosed: false,
    })
    expect(requestCursor({ since: 'run_1.5-6' })?.cursor).toMatchObject({ runId: 'run_1', ms: 5, n: 6 })
  })

  it('takes the mark of a stream that was ended for good off a cursor, and says where it came by itself', () => {
    const marked = 'run_1.5-6.closed'
    expect(requestCursor({ lastEventIdHeader: marked })).toMatchObject({ text: 'run_1.5-6', isClosed: true })
    expect(requestCursor({ lastEventId: marked })).toMatchObject({ text: 'run_1.5-6', isClosed: false })
    expect(requestCursor({ since: '5.closed' })).toMatchObject({ text: '5', isClosed: false })
    expect(() => requestCursor({ lastEventIdHeader: '.closed' })).toThrow(ProblemError)
  })

  it('passes over what is empty', () => {
    expect(requestCursor({})).toBeUndefined()
    expect(requestCursor({ lastEventIdHeader: null, lastEventId: '', since: undefined })).toBeUndefined()
    expect(requestCursor({ lastEventIdHeader: '', lastEventId: '2-2' })?.text).toBe('2-2')
    expect(requestCursor({ lastEventIdHeader: ['7-7', '8-8'] })?.text).toBe('7-7')
  })

  it.each(['abc', '1-', '-1', '1-2-3', '9'.repeat(20), '1\n2'])('refuses %j by its code', (text) => {
    const ask = () => requestCursor({ lastEventId: text })
    expect(ask).toThrow(ProblemError)
    expect(ask).toThrow(expect.objectContaining({ code: 'invalid_cursor', statusCode: 400 }))
  })
})
