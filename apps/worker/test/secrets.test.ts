import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allDataOf, EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { recoverRuns } from '../src/tasks/recover-runs.ts'
import { serveHeld } from './held-api.ts'
import { serveHttp } from './local-server.ts'
import { startWorker } from './running-worker.ts'

interface Arrived {
  readonly path: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** An API that remembers what came; `/to/<port>` leads to another. */
async function serveRemembering() {
  const arrived: Arrived[] = []
  const server = await serveHttp(async (request, answer) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { url: path, headers } = request
    arrived.push({ path, headers, body })
    const port = /^\/to\/(\d+)$/.exec(path ?? '')?.[1]
    if (port === undefined)
      answer.writeHead(200, { 'content-type': 'text/plain', 'set-cookie': 'session=1' }).end('ok')
    else answer.writeHead(307, { location: `http://127.0.0.1:${port}/arrived` }).end()
  })
  return Object.assign(server, { arrived })
}

/** A folder for a file of secrets, meant for one port of this machine, and what a worker keeps. */
async function openFolder(port: number) {
  const path = await mkdtemp(join(tmpdir(), 'tributary-secrets-'))
  const file = join(path, 'secrets.json')
  const hosts = [`127.0.0.1:${port}`]
  const secrets = { TOKEN: { value: 'Bearer hidden', hosts }, KEY: { value: 'hid"den\n', hosts } }
  await writeFile(file, JSON.stringify(secrets))
  return {
    path,
    env: { TASK_SECRETS_FILE: file },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

describe('a secret of a task', () => {
  it('is put into headers and anywhere into a JSON body, and into nothing else', async () => {
    await using api = await serveRemembering()
    await using folder = await openFolder(api.port)
    await using worker = await startWorker(folder.env)
    const literals = {
      text: '$secret',
      $secret: 5,
      both: { $secret: 'KEY', more: 1 },
      deep: [[{ k: '$secret' }]],
    }
    await using events = await worker.run({
      tasks: [
        {
          id: 'json',
          url: `${api.url}/json`,
          method: 'POST',
          headers: { Authorization: { $secret: 'TOKEN' }, 'x-text': '{"$secret":"KEY"}' },
          body: { key: { $secret: 'KEY' }, list: [1, { $secret: 'KEY' }], ...literals },
        },
        { id: 'text', url: `${api.url}/text`, method: 'POST', body: '{"$secret":"KEY"}' },
      ],
    })
    await events.waitFor('complete')
    const [json, text] = api.arrived.toSorted((a, b) => String(a.path).localeCompare(String(b.path)))
    expect(json?.headers).toMatchObject({
      authorization: 'Bearer hidden',
      'x-text': '{"$secret":"KEY"}',
      'content-type': 'application/json',
    })
    expect(JSON.parse(json?.body ?? '')).toEqual({ key: 'hid"den\n', list: [1, 'hid"den\n'], ...literals })
    expect(text?.body).toBe('{"$secret":"KEY"}')
    expect(JSON.stringify(events.events)).not.toContain('hid')
  })

  it.each<[string, Record<string, unknown>]>([
    ['is not known', { headers: { a: { $secret: 'OTHER' } } }],
    ['is not meant for the address', { headers: { a: { $secret: 'TOKEN' } }, elsewhere: true }],
    ['is not meant for the address, in the body', { body: [{ $secret: 'KEY' }], elsewhere: true }],
    ['does not fit a header', { headers: { a: { $secret: 'KEY' } } }],
    ['has a name of every object', { headers: { a: { $secret: 'toString' } } }],
  ])('that %s fails its task before anything is sent', async (_why, { elsewhere, ...task }) => {
    await using api = await serveRemembering()
    await using other = await serveRemembering()
    await using folder = await openFolder(api.port)
    await using worker = await startWorker(folder.env)
    const { url } = elsewhere === true ? other : api
    await using events = await worker.run({ tasks: [{ id: 't', url, method: 'POST', ...task }, url] })
    await events.waitFor('complete')
    expect(allDataOf(events, 'error')[0]).toMatchObject({ taskId: 't', code: 'secret_refused', attempt: 1 })
    expect([...api.arrived, ...other.arrived]).toEqual([])
  })

  it('does not follow a redirect to another origin', async () => {
    await using other = await serveRemembering()
    await using api = await serveRemembering()
    await using folder = await openFolder(api.port)
    await using worker = await startWorker(folder.env)
    const url = `${api.url}/to/${other.port}`
    await using events = await worker.run({
      concurrency: 1,
      tasks: [
        { id: 'header', url, method: 'POST', headers: { 'x-a': { $secret: 'TOKEN' }, 'x-b': 'b' } },
        { id: 'body', url, method: 'POST', body: { a: { $secret: 'KEY' } } },
      ],
    })
    await events.waitFor('complete')
    expect(allDataOf(events, 'error')).toMatchObject([{ taskId: 'body', code: 'secret_refused' }])
    expect(other.arrived).toMatchObject([{ path: '/arrived', headers: { 'x-b': 'b' }, body: '' }])
    expect(JSON.stringify(other.arrived)).not.toContain('hid')
  })

  it.each([
    [{ $secret: 'a b' }],
    [{ $secret: 'A', more: 1 }],
    [{ $secret: 5 }],
    [5],
    [null],
    [[{ $secret: 'A' }]],
  ])('that is not named as it should be in a header is refused: %j', async (value) => {
    await using worker = await startWorker()
    const answer = await worker.post({ tasks: [{ url: 'http://127.0.0.1/', headers: { a: value } }] })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'invalid_request' })
  })
})

describe('what an answer sets as a cookie', () => {
  it('is no part of the result', async () => {
    await using api = await serveRemembering()
    await using worker = await startWorker()
    await using events = await worker.run({ tasks: [{ id: 't', url: api.url }] })
    await events.waitFor('complete')
    const { result } = Object(allDataOf(events, 'task_complete')[0])
    expect(result).toMatchObject({ status: 200, body: 'ok' })
    expect(result.headers).not.toHaveProperty('set-cookie')
  })
})

describe('a literal credential', () => {
  it('is sent and not stored; after a crash its task is lost, and the others go on', async () => {
    await using api = await serveHeld()
    await using folder = await openFolder(0)
    const env = { STORE: 'sqlite', DATA_DIR: folder.path, SENSITIVE_HEADERS: 'x-own' }
    const first = await startWorker(env)
    const { runId } = await first.start({
      concurrency: 2,
      tasks: [
        { id: 'bearer', url: `${api.url}/bearer`, headers: { authorization: 'Bearer hidden' } },
        { id: 'open', url: `${api.url}/open`, headers: { accept: 'text/plain' } },
        { id: 'own', url: `${api.url}/own`, headers: { 'X-Own': 'hidden' } },
        { id: 'later', url: `${api.url}/later` },
      ],
    })
    await api.called(2)
    const stored = await Promise.all(
      ['worker.db', 'worker.db-wal'].map((name) => readFile(join(folder.path, name), 'latin1')),
    )
    expect(stored.join()).toContain(`${api.url}/bearer`)
    expect(stored.join()).not.toContain('hidden')
    await first[Symbol.asyncDispose]()
    await using second = await startWorker(env)
    await recoverRuns(second.deps)
    for (const path of ['/open', '/later']) await api.answer(path)
    await using events = await EventCollector.open(`${second.url}/api/runs/${runId}/events`)
    await events.waitFor('complete')
    expect(allDataOf(events, 'task_error')).toMatchObject(
      ['bearer', 'own'].map((taskId) => ({ taskId, code: 'worker_lost' })),
    )
    expect(allDataOf(events, 'complete')).toMatchObject([
      { status: 'partial', successCount: 2, errorCount: 2 },
    ])
    expect(api.calls.filter((call) => call.endsWith('/bearer'))).toHaveLength(1)
  })

  it('is none of what makes the same request under one key', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const start = (token: string) =>
      worker.start(
        { tasks: [{ id: 't', url: `${api.url}/a`, headers: { authorization: token } }] },
        { 'idempotency-key': 'k' },
      )
    const { runId } = await start('Bearer one')
    expect(await start('Bearer two')).toMatchObject({ runId })
    await api.answer('/a')
  })
})
