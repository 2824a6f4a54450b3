import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import { allDataOf, dataOf, EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { serveHttp } from './local-server.ts'
import { startWorker } from './running-worker.ts'

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255])

/** An API whose answer follows from its path. */
const serveAnswers = () =>
  serveHttp(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api')
    const bytes = Number(searchParams.get('bytes') ?? 0)
    const answer = (type: string, body: string | Buffer) =>
      response.writeHead(200, type === '' ? {} : { 'content-type': type }).end(body)
    switch (pathname) {
      case '/json':
        return answer('application/json; charset=utf-8', '{"a":[1,"é"]}')
      case '/problem':
        return answer('application/problem+json', '{"title":"x"}')
      case '/empty-json':
        return answer('application/json', '')
      case '/large-json':
        return answer('application/json', JSON.stringify('x'.repeat(bytes - 2)))
      case '/text':
        return answer('text/plain', 'zwölf')
      case '/large-text':
        return answer('text/plain', 'é'.repeat(bytes / 2))
      case '/binary':
        return answer('image/png', PNG)
      case '/untyped':
        return answer('', 'x')
      case '/nothing':
        return response.writeHead(204).end()
      case '/gzip':
        return answer('application/octet-stream', gzipSync('x'))
      default: {
        const body = Buffer.concat(await request.toArray()).toString()
        const { method, url, headers } = request
        return answer('application/json', JSON.stringify({ method, url, headers, body }))
      }
    }
  })

describe('parallel tasks', () => {
  it('say that a task started before its API has answered', async () => {
    const called = Promise.withResolvers<void>()
    const seen = Promise.withResolvers<void>()
    await using api = await serveHttp(async (_, response) => {
      called.resolve()
      await seen.promise
      response.end('late')
    })
    await using worker = await startWorker()
    const events = await worker.run({ tasks: [{ id: 'a', name: 'Fetch A', url: api.url }] })
    const started = await events.waitFor('task_start')
    expect(started.data).toEqual({ taskId: 'a', taskName: 'Fetch A', attempt: 1, source: 'worker' })
    await called.promise
    expect(events.events.map(({ type }) => type)).toEqual(['connection', 'task_start'])
    seen.resolve()
    await events.ended
    expect(events.events.map(({ type }) => type)).toEqual([
      'connection',
      'task_start',
      'task_complete',
      'progress',
      'aggregated_result',
      'complete',
      'disconnected',
    ])
  })

  it('send methods, headers and bodies as given', async () => {
    await using api = await serveAnswers()
    await using worker = await startWorker()
    const events = await worker.run({
      tasks: [
        { id: 'get', url: `${api.url}/echo?q=a%20b`, headers: { 'X-Two': '2', Accept: 'text/x' } },
        { id: 'post', url: `${api.url}/echo`, method: 'POST', body: { a: ['é'] } },
        {
          id: 'text',
          url: `${api.url}/echo`,
          method: 'PUT',
          body: 'a=1',
          headers: { 'content-type': 'text/x' },
        },
        {
          id: 'typed',
          url: `${api.url}/echo`,
          method: 'PATCH',
          body: [1],
          headers: { 'Content-Type': 'a/b' },
        },
        { id: 'null', url: `${api.url}/echo`, method: 'POST', body: null },
        { id: 'delete', url: `${api.url}/echo`, method: 'DELETE' },
        { id: 'head', url: `${api.url}/json`, method: 'HEAD' },
      ],
    })
    await events.waitFor('complete')
    const results = new Map(allDataOf(events, 'task_complete').map(({ taskId, result }) => [taskId, result]))
    const sent = (id: string) => results.get(id)?.body
    const get = { 'x-two': '2', accept: 'text/x' }
    expect(sent('get')).toMatchObject({ method: 'GET', url: '/echo?q=a%20b', headers: get, body: '' })
    const json = { 'content-type': 'application/json' }
    expect(sent('post')).toMatchObject({ method: 'POST', headers: json, body: '{"a":["é"]}' })
    expect(sent('text')).toMatchObject({ method: 'PUT', headers: { 'content-type': 'text/x' }, body: 'a=1' })
    expect(sent('typed')).toMatchObject({ method: 'PATCH', headers: { 'content-type': 'a/b' }, body: '[1]' })
    expect(sent('null')).toMatchObject({ method: 'POST', headers: json, body: 'null' })
    expect(sent('delete')).toMatchObject({ method: 'DELETE', body: '' })
    expect(results.get('head')).toMatchObject({ status: 200, body: null })
  })

  it.each([
    ['/json', { status: 200, body: { a: [1, 'é'] }, truncated: false }],
    ['/problem', { body: { title: 'x' }, truncated: false }],
    ['/empty-json', { body: null, truncated: false }],
    ['/text', { body: 'zwölf', truncated: false }],
    ['/binary', { body: PNG.toString('base64'), encoding: 'base64', truncated: false }],
    ['/untyped', { body: 'eA==', encoding: 'base64', truncated: false }],
    ['/gzip', { body: gzipSync('x').toString('base64'), encoding: 'base64' }],
    ['/nothing', { status: 204, body: '', truncated: false }],
  ])('show the body of %s as %j', async (path, result) => {
    await using api = await serveAnswers()
    await using worker = await startWorker()
    const events = await worker.run({ tasks: [{ url: api.url + path }] })
    expect((await dataOf(events, 'task_complete')).result).toMatchObject(result)
  })

  it('cut a body at maxResultBytes and say so, JSON as a string', async () => {
    await using api = await serveAnswers()
    await using worker = await startWorker()
    const paths = ['/json', '/large-text?bytes=100', '/binary', '/large-json?bytes=4']
    const events = await worker.run({
      maxResultBytes: 5,
      tasks: paths.map((path) => ({ id: path, url: api.url + path })),
    })
    await events.waitFor('complete')
    const results = Object.fromEntries(
      allDataOf(events, 'task_complete').map(({ taskId, result }) => [taskId, result]),
    )
    expect(results['/json']).toMatchObject({ body: '{"a":', truncated: true })
    // The sixth byte is half of a character, which is left out.
    expect(results['/large-text?bytes=100']).toMatchObject({ body: 'éé', truncated: true })
    expect(results['/binary']).toMatchObject({ body: PNG.subarray(0, 5).toString('base64'), truncated: true })
    expect(results['/large-json?bytes=4']).toMatchObject({ body: 'xx', truncated: false })
  })

  it('read no more than TASK_MAX_BODY_BYTES: JSON fails, other bodies are cut and say so', async () => {
    await using api = await serveAnswers()
    await using worker = await startWorker({ TASK_MAX_BODY_BYTES: '2048' })
    const events = await worker.run({
      tasks: [
        { id: 'json', url: `${api.url}/large-json?bytes=2049` },
        { id: 'fits', url: `${api.url}/large-json?bytes=2048` },
        { id: 'text', url: `${api.url}/large-text?bytes=4096` },
      ],
    })
    const data = await dataOf(events, 'aggregated_result')
    expect(data.errors).toEqual([{ taskId: 'json', error: 'Body too large', code: 'body_too_large' }])
    expect(data.results.fits).toMatchObject({ body: 'x'.repeat(2046), truncated: false })
    expect(data.results.text).toMatchObject({ body: 'é'.repeat(1024), truncated: true })
  })

  it('keep an event within MAX_EVENT_BYTES: a body with many escapes is cut, results are left to their events', async () => {
    await using api = await serveHttp((_, response) => {
      response.setHeader('content-type', 'text/plain')
      response.end('\u0001'.repeat(8_000))
    })
    await using worker = await startWorker({ MAX_EVENT_BYTES: '16384' })
    const events = await worker.run({
      tasks: [
        { id: 'a', url: api.url },
        { id: 'b', url: api.url },
      ],
    })
    await events.ended
    const completed = events.ofType('task_complete')
    expect(completed).toHaveLength(2)
    for (const { data } of completed) expect(data).toMatchObject({ result: { truncated: true } })
    const data = await dataOf(events, 'aggregated_result')
    const references = Object.entries(data.results).filter(([, result]) => 'eventId' in result)
    expect(references.length).toBeGreaterThan(0)
    for (const [taskId, result] of references) {
      const eventId = 'eventId' in result ? result.eventId : undefined
      expect(completed.find(({ id }) => id === eventId)).toMatchObject({ data: { taskId } })
    }
    for (const { raw } of events.events) expect(Buffer.byteLength(raw)).toBeLessThan(17_000)
  })

  it('follow a body of known length at most ten times a second', async () => {
    const pieces = 400
    const piece = 'x'.repeat(1_000)
    await using api = await serveHttp(async (_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': pieces * piece.length })
      for (let sent = 0; sent < pieces; sent++) {
        if (!response.write(piece)) await once(response, 'drain')
        await new Promise(setImmediate)
      }
      response.end()
    })
    await using worker = await startWorker()
    const events = await worker.run({ maxResultBytes: 10, tasks: [{ id: 'a', url: api.url }] })
    const data = await dataOf(events, 'task_complete')
    const told = allDataOf(events, 'task_progress')
    expect(told.at(-1)).toEqual({ taskId: 'a', progress: 100, bytes: 400_000 })
    // One at the start, then one each 100 ms, then the last.
    expect(told.length).toBeLessThanOrEqual(2 + Math.ceil(data.durationMs / 100))
    const percentages = told.map(({ progress }) => progress)
    expect(percentages).toEqual(percentages.toSorted((a, b) => a - b))
  })

  it('count what succeeded and what failed', async () => {
    await using api = await serveHttp((request, response) => {
      response.writeHead(request.url === '/404' ? 404 : 200).end()
    })
    await using worker = await startWorker()
    const paths = ['/1', '/404', '/2']
    const events = await worker.run({ tasks: paths.map((path) => ({ id: path, url: api.url + path })) })
    await events.ended
    const errors = [{ taskId: '/404', error: 'HTTP 404', code: 'http_4xx' }]
    const counts = { successCount: 2, errorCount: 1, errors }
    expect(await dataOf(events, 'aggregated_result')).toMatchObject(counts)
    const data = await dataOf(events, 'complete')
    expect(data).toMatchObject({ ...counts, status: 'partial', totalTasks: 3 })
    expect((await dataOf(events, 'progress')).totalSteps).toBe(3)
    // Existing clients listen for `error`; elsewhere it is a `task_error`.
    expect(await dataOf(events, 'error')).toMatchObject({
      taskId: '/404',
      code: 'http_4xx',
      attempt: 1,
    })
    const view = await (await fetch(`${worker.url}/api/runs/${data.runId}`)).json()
    expect(view).toMatchObject({ status: 'partial', totalTasks: 3, successCount: 2, errorCount: 1 })
  })

  it.each([
    [['/404'], 'failed'],
    [['/1'], 'succeeded'],
  ])('of %j have %s', async (paths, status) => {
    await using api = await serveHttp((request, response) => {
      response.writeHead(request.url === '/404' ? 404 : 200).end()
    })
    await using worker = await startWorker()
    const events = await worker.run({ tasks: paths.map((path) => ({ url: api.url + path })) })
    expect(await dataOf(events, 'complete')).toMatchObject({ status })
  })

  it('run no more at a time than asked for, and one task failing stops no other', async () => {
    let open = 0
    let most = 0
    const three = Promise.withResolvers<void>()
    await using api = await serveHttp(async (request, response) => {
      most = Math.max(most, ++open)
      if (open === 3) three.resolve()
      await three.promise
      open -= 1
      response.writeHead(request.url === '/0' ? 400 : 200).end()
    })
    await using worker = await startWorker()
    const tasks = Array.from({ length: 40 }, (_, index) => ({ url: `${api.url}/${index}` }))
    const events = await worker.run({ concurrency: 3, tasks })
    expect(await dataOf(events, 'complete')).toMatchObject({ successCount: 39, errorCount: 1 })
    expect(most).toBe(3)
  })

  it('fail the others once one has failed, where they fail fast', async () => {
    const gone = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    await using api = await serveHttp(async (request, response) => {
      if (request.url === '/held') {
        response.on('close', gone.resolve)
        held.resolve()
        return
      }
      await held.promise
      response.writeHead(404).end()
    })
    await using worker = await startWorker()
    const events = await worker.run({
      failFast: true,
      concurrency: 2,
      tasks: ['/held', '/404', '/never'].map((path) => ({ id: path, url: api.url + path })),
    })
    const data = await dataOf(events, 'complete')
    await gone.promise
    expect(data).toMatchObject({ status: 'failed', totalTasks: 3, successCount: 0, errorCount: 3 })
    expect(data.errors.map(({ taskId, code }) => [taskId, code])).toEqual([
      ['/404', 'http_4xx'],
      ['/held', 'cancelled'],
      ['/never', 'cancelled'],
    ])
  })

  it('expire at their deadline', async () => {
    const gone = Promise.withResolvers<void>()
    await using api = await serveHttp((request, response) => {
      if (request.url === '/done') response.end()
      else response.on('close', gone.resolve)
    })
    await using worker = await startWorker()
    const events = await worker.run({
      deadlineMs: 200,
      tasks: ['/done', '/held'].map((path) => ({ id: path, url: api.url + path })),
    })
    const data = await dataOf(events, 'complete')
    await gone.promise
    expect(data).toMatchObject({ status: 'expired', successCount: 1, errorCount: 1 })
    expect(data.errors).toMatchObject([{ taskId: '/held', code: 'deadline_exceeded' }])
  })

  it('answer 202 and where to read them, where JSON is asked for', async () => {
    await using api = await serveAnswers()
    await using worker = await startWorker()
    const answer = await worker.post({ tasks: [{ url: `${api.url}/json` }] }, { accept: 'application/json' })
    const runId = answer.headers.get('run-id')
    expect(answer.status).toBe(202)
    expect(answer.headers.get('location')).toBe(`/api/runs/${runId}`)
    const path = `/api/runs/${runId}/events`
    expect(await answer.json()).toMatchObject({ runId, events: path })
    const events = await EventCollector.open(worker.url + path)
    expect(await dataOf(events, 'complete')).toMatchObject({ runId, status: 'succeeded' })
  })
})
