import { describe, expect, it } from 'vitest'
import { EMITTER_NAMES, standardName, wireName } from './run-event.ts'

const TYPES = [
  'task_start',
  'task_progress',
  'task_error',
  'error',
  'complete',
  'gap',
  'toString',
  '__proto__',
]

describe('the names of a run’s events', () => {
  it.each(TYPES)('%s keeps its name on a standard stream', (type) => {
    expect(wireName(type, 'standard')).toBe(type)
  })

  it('follow the table on an emitter stream', () => {
    expect(wireName('task_error', 'emitter')).toBe('error')
    for (const type of TYPES) {
      if (!Object.hasOwn(EMITTER_NAMES, type)) expect(wireName(type, 'emitter')).toBe(type)
    }
  })

  it.each(TYPES)('%s is read back from either stream', (type) => {
    const data = type === 'error' ? { error: 'x', code: 'task_failed' } : { taskId: 't', error: 'x' }
    for (const naming of ['standard', 'emitter'] as const) {
      expect(standardName(wireName(type, naming), data)).toBe(type)
    }
  })

  it.each([null, undefined, 'taskId', 5, [], {}, { error: 'x' }])(
    'takes an error with %j for the stream’s own',
    (data) => {
      expect(standardName('error', data)).toBe('error')
    },
  )
})
