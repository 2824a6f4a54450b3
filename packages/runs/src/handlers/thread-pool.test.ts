import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { threadId } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import type { HandlerRequester, TaskLog } from './define-task.ts'
import { RemoteError } from './error-data.ts'
import { TaskError } from './handler-error.ts'
import { HandlerRegistry } from './handler-registry.ts'
import { HandlerRunner, type HandlerRunnerOptions } from './handler-runner.ts'
import type { TaskProgress } from './task-progress.ts'

const HANDLERS = fileURLToPath(new URL('../../test/handlers', import.meta.url))

const request: HandlerRequester = async ({ url, method, headers, body }, { signal }) => {
  const answer = await fetch(url, {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) }),
    signal,
  })
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.bytes() }
}

let runner: HandlerRunner
afterEach(() => runner.close())

async function start(options: Partial<HandlerRunnerOptions> = {}) {
  const registry = await HandlerRegistry.load([HANDLERS])
  runner = new HandlerRunner({ registry, request, threads: { maxThreads: 1 }, ...options })
}

/** Runs a handler, and shows what it says on the way. */
function run(name: string, input?: unknown, onProgress: (progress: TaskProgress) => void = () => {}) {
  const stop = new AbortController()
  const progress: TaskProgress[] = []
  const lines: unknown[][] = []
  const log: TaskLog = {
    info: (...line) => lines.push(['info', ...line]),
    warn: (...line) => lines.push(['warn', ...line]),
    error: (...line) => lines.push(['error', ...line]),
  }
  const result = runner.run(name, {
    input,
    taskId: 't1',
    attempt: 2,
    signal: stop.signal,
    log,
    onProgress(report) {
      progress.push(report)
      onProgress(report)
    },
  })
  return { result, stop, progress, lines }
}

/** Runs a handler up to its first progress. */
async function runUntilProgress(name: string) {
  const begun = Promise.withResolvers<void>()
  const running = run(name, undefined, () => begun.resolve())
  running.result.catch(begun.reject)
  await begun.promise
  return running
}

describe('HandlerRunner, in a thread', () => {
  it('runs a cpuBound task in another thread', async () => {
    await start({ sampleUrl: 'http://sample/' })
    const result = await run('where').result
    expect(result).toMatchObject({ taskId: 't1', attempt: 2, sampleUrl: 'http://sample/' })
    expect(result).not.toMatchObject({ threadId })
  })

  it('finds our packages as source there too', async () => {
    await start()
    expect(await run('conditions').result).toEqual({
      resolved: expect.stringMatching(/protocol\/src\/index\.ts$/),
      cursor: { kind: 'time', ms: 7 },
    })
  })

  it('brings progress and log lines out, all before the result', async () => {
    await start()
    const { result, progress, lines } = run('squares', { upTo: 1000, slices: 4 })
    expect(await result).toEqual({ sum: 333_833_500 })
    expect(progress).toEqual([1, 2, 3, 4].map((step) => ({ step, totalSteps: 4, progress: step * 25 })))
    expect(lines).toEqual([['info', 'squares begin', { upTo: 1000 }]])
  })

  it('brings progress out while the thread computes', async () => {
    await start()
    const { stop, result, progress } = await runUntilProgress('spin')
    expect(progress).toEqual([{ progress: 1 }])
    stop.abort(new Error('seen'))
    await expect(result).rejects.toThrow('seen')
  })

  it('bounds what a thread posts to a host that is busy, and still tells the last progress', async () => {
    await start()
    let isBusy = true
    const { result, progress, lines } = run('flood', { reports: 100_000 }, () => {
      if (isBusy) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
      isBusy = false
    })
    await result
    expect(progress.at(-1)).toMatchObject({ step: 100_000, progress: 100 })
    expect(lines.at(-1)).toEqual(['warn', 'Log lines were dropped', { count: expect.any(Number) }])
    expect(progress.length + lines.length).toBeLessThan(200_000)
  })

  it('ignores progress after the end, and logs a line whose fields cannot leave the thread', async () => {
    await start()
    const { result, progress, lines } = run('late progress')
    expect(await result).toBe('done')
    await run('where').result
    expect(progress).toEqual([])
    expect(lines).toEqual([['warn', 'odd', { fieldsLost: true }]])
  })

  it('checks the input before a thread is asked', async () => {
    await start()
    await expect(run('squares', { upTo: 0, slices: 1 }).result).rejects.toMatchObject({
      code: 'invalid_task',
      errors: [{ path: 'input/upTo' }],
    })
  })

  it('refuses a result that is not JSON', async () => {
    await start()
    await expect(run('result of map').result).rejects.toMatchObject({
      name: 'HandlerResultError',
      code: 'task_failed',
      message: 'The result is not JSON: result.deep[0] is of class Map, not a plain object',
    })
  })

  it('carries an error out with its name, code and cause', async () => {
    await start()
    const failure = await run('failing').result.catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(RemoteError)
    expect(failure).toMatchObject({
      name: 'RangeError',
      code: 'invalid_json',
      message: 'out of range',
      cause: { message: 'the root' },
      stack: expect.stringContaining('threaded.ts'),
    })
  })
})

describe('a request from a thread', () => {
  async function serve() {
    const server = createServer(async (incoming, response) => {
      const chunks = await incoming.toArray()
      if (incoming.url === '/hang') return
      response.setHeader('content-type', 'text/plain')
      if (incoming.url === '/large') response.end(Buffer.alloc(3_000_000, 'x'))
      else response.end(`${incoming.method} ${incoming.headers['x-from']} ${Buffer.concat(chunks)}`)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    return {
      server,
      url: `http://127.0.0.1:${port}`,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections()
        await once(server.close(), 'close')
      },
    }
  }

  it('is made by the host, and its answer comes back', async () => {
    await using upstream = await serve()
    await start()
    expect(await run('fetching', { url: `${upstream.url}/echo`, body: 'hello' }).result).toEqual({
      status: 200,
      type: 'text/plain',
      bytes: 17,
      text: 'POST thread hello',
      kept: 5,
    })
  })

  it('brings a large body over', async () => {
    await using upstream = await serve()
    await start()
    const result = await run('fetching', { url: `${upstream.url}/large` }).result
    expect(result).toMatchObject({ bytes: 3_000_000, text: 'x'.repeat(64) })
  })

  it('moves a body that owns its buffer, and copies one that shares it', async () => {
    const whole = new TextEncoder().encode('whole')
    const part = Buffer.from('a part of a larger buffer').subarray(2, 6)
    const answers = [whole, part]
    await start({
      request: async () => ({ status: 200, headers: {}, body: answers.shift() ?? new Uint8Array() }),
    })
    expect(await run('fetching', { url: 'x' }).result).toMatchObject({ text: 'whole' })
    expect(await run('fetching', { url: 'x' }).result).toMatchObject({ text: 'part' })
    expect(whole.buffer.detached).toBe(true)
    expect(part.toString()).toBe('part')
  })

  it('rejects in the thread with the host’s error and its code', async () => {
    await start({
      request: () => Promise.reject(new TaskError('not this address', { code: 'address_refused' })),
    })
    await expect(run('fetching', { url: 'http://127.0.0.1/' }).result).rejects.toMatchObject({
      code: 'address_refused',
      retryable: false,
      message: 'not this address',
    })
  })

  it('is aborted with the task', async () => {
    await using upstream = await serve()
    await start()
    const { result, stop } = run('fetching', { url: `${upstream.url}/hang` })
    const [incoming] = await once(upstream.server, 'request')
    const closed = once(incoming.socket, 'close')
    stop.abort(new Error('enough'))
    await expect(result).rejects.toThrow('enough')
    await closed
  })
})

describe('a thread', () => {
  it('is ended at once by an abort, and the next task gets another', async () => {
    await start()
    const { result, stop } = await runUntilProgress('spin')
    const waiting = run('where')
    const reason = new Error('stop spinning')
    stop.abort(reason)
    await expect(result).rejects.toBe(reason)
    await expect(waiting.result).resolves.toMatchObject({ taskId: 't1' })
  })

  it('is not asked for by a task that is aborted while it waits', async () => {
    await start()
    const spinning = await runUntilProgress('spin')
    const waiting = run('where')
    waiting.stop.abort(new Error('no longer'))
    await expect(waiting.result).rejects.toThrow('no longer')
    spinning.stop.abort(new Error('over'))
    await expect(spinning.result).rejects.toThrow('over')
  })

  it.each([
    ['exiting', 'The thread was lost: worker exited with code: 3'],
    ['throwing later', 'The thread was lost: nobody catches this'],
    ['hoarding', 'The thread was lost: Worker terminated due to reaching memory limit'],
  ])('takes only its own task with it: %s', async (name, message) => {
    await start({ threads: { maxThreads: 2, maxHeapMib: 64 } })
    const other = await runUntilProgress('spin')
    const lost = run(name)
    await expect(lost.result).rejects.toMatchObject({ name: 'ThreadLostError', code: 'task_failed' })
    await expect(lost.result).rejects.toThrow(message)
    expect(await run('where').result).toMatchObject({ taskId: 't1' })
    other.stop.abort(new Error('it still ran'))
    await expect(other.result).rejects.toThrow('it still ran')
  })

  it('brings out what was said before it was lost', async () => {
    await start()
    const { result, progress } = run('exiting')
    await expect(result).rejects.toThrow('The thread was lost')
    expect(progress).toEqual([{ progress: 50 }])
  })

  it('fails its task when it cannot start', async () => {
    const execArgv = ['--import', 'data:text/javascript,throw new Error("bad start")']
    await start({ threads: { maxThreads: 1, execArgv } })
    await expect(run('where').result).rejects.toMatchObject({
      message: 'No thread could be started',
      cause: { message: 'bad start' },
    })
  })

  it('is used again, and others wait for it in order', async () => {
    await start()
    const results = await Promise.all(['where', 'where', 'where', 'where'].map((name) => run(name).result))
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1)
  })

  it('is waited for by no more tasks than may', async () => {
    await start({ threads: { maxThreads: 1, maxQueue: 1 } })
    const spinning = await runUntilProgress('spin')
    const waiting = run('where')
    await expect(run('where').result).rejects.toMatchObject({
      code: 'overloaded',
      retryable: true,
      message: 'All 1 threads are busy and 1 tasks wait for one already',
    })
    spinning.stop.abort(new Error('over'))
    await expect(spinning.result).rejects.toThrow('over')
    await expect(waiting.result).resolves.toBeDefined()
  })

  it('leaves the event loop to others while it burns', async () => {
    await start()
    await run('where').result
    const inline = await turnsDuring(run('burn inline', { ms: 200 }).result)
    const threaded = await turnsDuring(run('burn', { ms: 200 }).result)
    expect(threaded).toBeGreaterThan(inline * 10 + 10)
  })

  it('is gone after close, with all that it used', async () => {
    const before = resources()
    await start({ threads: { maxThreads: 2 } })
    await run('where').result
    const spinning = await runUntilProgress('spin')
    const waiting = [run('where').result, run('spin').result, run('where').result]
    const settled = Promise.allSettled([spinning.result, ...waiting])
    expect(resources()).not.toEqual(before)
    await runner.close()
    await runner.close()
    for (const { status } of (await settled).slice(2)) expect(status).toBe('rejected')
    expect(resources()).toEqual(before)
  })
})

async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0
  let isOver = false
  const turn = () => {
    turns += 1
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  await work
  isOver = true
  return turns
}

function resources() {
  return process.getActiveResourcesInfo().filter((name) => name === 'MessagePort' || name === 'Worker')
}
