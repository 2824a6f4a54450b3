import { describe, expect, it } from 'vitest'
import { gatewayHeaders, startWorker } from './running-worker.ts'

const task = (id: string) => ({ id, url: 'http://127.0.0.1:1/' })
const refused: [name: string, body: unknown, status: number, code: string, said: string][] = [
  ['no tasks', { tasks: [] }, 422, 'no_tasks', 'at least one'],
  ['too many tasks', { tasks: ['a', 'b', 'c', 'd'].map(task) }, 422, 'too_many_tasks', '4 tasks'],
  ['duplicate ids', { tasks: [task('a'), task('a')] }, 422, 'duplicate_task_id', 'body/tasks/1/id'],
  [
    'an id that a task without one has',
    { tasks: ['Any', task('task-1')] },
    422,
    'duplicate_task_id',
    'task-1',
  ],
  ['a file', { tasks: [{ id: 'x', url: 'file:///etc/passwd' }] }, 422, 'invalid_task', 'body/tasks/0/url'],
  [
    'no address',
    { tasks: [task('a'), { id: 'x', url: '/relative' }] },
    422,
    'invalid_task',
    'body/tasks/1/url',
  ],
  ['credentials', { tasks: [{ id: 'x', url: 'http://u:p@h/' }] }, 422, 'invalid_task', 'credentials'],
  ['a timeout of 0', { tasks: [{ ...task('x'), timeoutMs: 0 }] }, 400, 'invalid_request', 'timeoutMs'],
  [
    'a timeout too long',
    { tasks: [{ ...task('x'), timeoutMs: 600_001 }] },
    400,
    'invalid_request',
    'timeoutMs',
  ],
  ['too many retries', { tasks: [{ ...task('x'), retries: 11 }] }, 400, 'invalid_request', 'retries'],
  ['a method that is none', { tasks: [{ ...task('x'), method: 'TRACE' }] }, 400, 'invalid_request', 'method'],
  ['a body of a GET', { tasks: [{ ...task('x'), body: 'b' }] }, 422, 'invalid_task', 'body/tasks/0/body'],
  [
    'a broken header',
    { tasks: [{ ...task('x'), headers: { a: 'b\r\nc' } }] },
    422,
    'invalid_task',
    'headers',
  ],
  [
    'a header of the client',
    { tasks: [{ ...task('x'), headers: { Host: 'h' } }] },
    422,
    'invalid_task',
    'Host',
  ],
  [
    'concurrency over the maximum',
    { tasks: [task('a')], concurrency: 65 },
    400,
    'invalid_request',
    'at most 64',
  ],
  ['concurrency 0', { tasks: [task('a')], concurrency: 0 }, 400, 'invalid_request', 'body/concurrency'],
  [
    'a result too large',
    { tasks: [task('a')], maxResultBytes: 65_537 },
    400,
    'invalid_request',
    'maxResultBytes',
  ],
  ['a deadline of 0', { tasks: [task('a')], deadlineMs: 0 }, 400, 'invalid_request', 'deadlineMs'],
  ['an unknown field', { tasks: [task('a')], parallel: 3 }, 400, 'invalid_request', 'parallel'],
  ['an unknown field of a task', { tasks: [{ ...task('a'), uri: '' }] }, 400, 'invalid_request', 'uri'],
  ['a control in an id', { tasks: [task('a\nb')] }, 400, 'invalid_request', 'body/tasks/0'],
  ['no body', null, 400, 'invalid_request', 'body'],
  [
    'more than 1 MB',
    { tasks: [{ ...task('a'), method: 'POST', body: 'x'.repeat(1_048_576) }] },
    413,
    'payload_too_large',
    '1048576',
  ],
]

describe('parallel tasks', () => {
  it.each(refused)('are refused with %s', async (_, body, status, code, said) => {
    await using worker = await startWorker({ MAX_TASKS: '3' })
    const answer = await worker.post(body)
    const text = await answer.text()
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect({ status: answer.status, code: JSON.parse(text).code }).toEqual({ status, code })
    expect(text).toContain(said)
    expect(worker.deps.runs.size).toBe(0)
  })
})

describe('in production', () => {
  const production = { NODE_ENV: 'production', WORKER_SECRET: 'a secret of thirty-two characters' }
  const shown = () => gatewayHeaders(production.WORKER_SECRET)

  it.each([
    '/api/sample/users',
    '/api/sample/slow',
    '/api/sse/sample-parallel',
    '/api/sse/flow-example',
    '/api/sse/parallel-tasks-progress',
  ])('there is no %s', async (path) => {
    await using worker = await startWorker(production)
    const answer = await fetch(worker.url + path, { headers: await shown() })
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ code: 'not_found' })
  })

  it('a name that no handler has is refused, and the names there are told', async () => {
    await using worker = await startWorker(production)
    const answer = await worker.post(
      { tasks: ['Fetch External Data', { id: 'x', name: 'Nobody' }] },
      await shown(),
    )
    expect(answer.status).toBe(422)
    const problem = await answer.json()
    const names = '"Call Third-party API", "Fetch External Data"'
    expect(problem).toMatchObject({
      code: 'unknown_handler',
      detail: `Task "x": no handler is called "Nobody"; there are ${names}`,
      errors: [{ path: 'body/tasks/1/name' }],
    })
  })

  it('nobody gets in without what is signed with the secret, nor by the secret itself', async () => {
    await using worker = await startWorker(production)
    expect((await worker.post({ tasks: ['Any'] })).status).toBe(401)
    const secret = { authorization: `Bearer ${production.WORKER_SECRET}` }
    expect((await worker.post({ tasks: ['Any'] }, secret)).status).toBe(401)
  })
})
