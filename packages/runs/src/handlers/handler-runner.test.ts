import { setImmediate as nextTurn } from 'node:timers/promises'
import Type from 'typebox'
import { describe, expect, it } from 'vitest'
import { defineTask, type HandlerRequester, type TaskDefinition } from './define-task.ts'
import { HandlerInputError } from './handler-error.ts'
import { HandlerRegistry } from './handler-registry.ts'
import { type HandlerCall, HandlerRunner, type HandlerRunnerOptions } from './handler-runner.ts'
import type { TaskProgress } from './task-progress.ts'

const silent = { info: () => {}, warn: () => {}, error: () => {} }

function runnerOf(task: TaskDefinition, options: Partial<HandlerRunnerOptions> = {}) {
  const request: HandlerRequester = () => Promise.reject(new Error('no request is expected'))
  return new HandlerRunner({ registry: new HandlerRegistry([{ task }]), request, ...options })
}

function callOf(call: Partial<HandlerCall> = {}) {
  const stop = new AbortController()
  const progress: TaskProgress[] = []
  return {
    stop,
    progress,
    call: {
      taskId: 't1',
      attempt: 1,
      signal: stop.signal,
      log: silent,
      onProgress: (report: TaskProgress) => progress.push(report),
      ...call,
    },
  }
}

const resize = defineTask({
  name: 'Resize',
  input: Type.Object(
    { width: Type.Optional(Type.Integer({ maximum: 100 })), tags: Type.Optional(Type.Array(Type.String())) },
    { additionalProperties: false },
  ),
  run: (_context, input) => input,
})

describe('HandlerRunner, on the event loop', () => {
  it('gives the handler its input and context, and answers with its result', async () => {
    const task = defineTask({
      name: 'Echo',
      totalSteps: 2,
      async run({ progress, taskId, attempt, sampleUrl }, input) {
        progress({ step: 1, message: 'half' })
        await nextTurn()
        return { taskId, attempt, sampleUrl, input }
      },
    })
    await using runner = runnerOf(task, { sampleUrl: 'http://sample/' })
    const { call, progress } = callOf({ attempt: 3, input: [1] })
    expect(await runner.run('Echo', call)).toEqual({
      taskId: 't1',
      attempt: 3,
      sampleUrl: 'http://sample/',
      input: [1],
    })
    expect(progress).toEqual([{ step: 1, totalSteps: 2, progress: 50, message: 'half' }])
  })

  it('counts no result as null', async () => {
    await using runner = runnerOf(defineTask({ name: 'Quiet', run: () => {} }))
    expect(await runner.run('Quiet', callOf().call)).toBeNull()
  })

  it('refuses a name that nobody registered', async () => {
    await using runner = runnerOf(resize)
    await expect(runner.run('Nobody', callOf().call)).rejects.toMatchObject({
      code: 'unknown_handler',
      message: 'No handler is named "Nobody"',
    })
  })

  it('runs what the host puts in the place of an unregistered name', async () => {
    const unregistered = (name: string) => defineTask({ name, run: () => `instead of ${name}` })
    await using runner = runnerOf(resize, { unregistered })
    expect(await runner.run('Nobody', callOf().call)).toBe('instead of Nobody')
    expect(runner.find('Nobody')?.name).toBe('Nobody')
    expect(runner.find('Resize')).toBe(resize)
  })

  it('takes a missing input as {} where the schema does', async () => {
    await using runner = runnerOf(resize)
    expect(await runner.run('Resize', callOf().call)).toEqual({})
  })

  it.each([
    [{ width: 'wide' }, 'input/width'],
    [{ width: 101 }, 'input/width'],
    [{ tags: ['a', 7] }, 'input/tags/1'],
    [{ colour: 1 }, 'input/colour'],
    [null, 'input'],
  ])('refuses the input %j, naming %s', async (input, path) => {
    await using runner = runnerOf(resize)
    const failure = runner.run('Resize', callOf({ input }).call)
    await expect(failure).rejects.toThrow(HandlerInputError)
    await expect(failure).rejects.toMatchObject({ code: 'invalid_task', errors: [{ path }] })
    expect(() => runner.check('Resize', input)).toThrow(`Resize: ${path} `)
  })

  it('names a field that is missing', async () => {
    const task = defineTask({ name: 'Get', input: Type.Object({ url: Type.String() }), run: () => null })
    await using runner = runnerOf(task)
    await expect(runner.run('Get', callOf().call)).rejects.toThrow('Get: input/url is missing')
  })

  it('rejects with what the handler throws', async () => {
    const failure = new Error('as it is')
    const task = defineTask({ name: 'Fail', run: () => Promise.reject(failure) })
    await using runner = runnerOf(task)
    await expect(runner.run('Fail', callOf().call)).rejects.toBe(failure)
  })

  it('refuses a result that is not JSON', async () => {
    await using runner = runnerOf(defineTask({ name: 'Big', run: () => ({ total: 1n }) }))
    await expect(runner.run('Big', callOf().call)).rejects.toThrow('result.total is a bigint')
  })

  it('rejects with the reason of an abort, though the handler does not listen', async () => {
    const forever = Promise.withResolvers<string>()
    await using runner = runnerOf(defineTask({ name: 'Deaf', run: () => forever.promise }))
    const { call, stop } = callOf()
    const running = runner.run('Deaf', call)
    const reason = new Error('enough')
    stop.abort(reason)
    await expect(running).rejects.toBe(reason)
    forever.resolve('too late')
  })

  it('does not begin what was aborted before', async () => {
    let begun = false
    const task = defineTask({
      name: 'Begin',
      run: () => {
        begun = true
      },
    })
    await using runner = runnerOf(task)
    const { call, stop } = callOf()
    stop.abort(new Error('before'))
    await expect(runner.run('Begin', call)).rejects.toThrow('before')
    expect(begun).toBe(false)
  })

  it('ignores progress after the end', async () => {
    const report = Promise.withResolvers<() => void>()
    const task = defineTask({
      name: 'Late',
      run({ progress }) {
        progress({ progress: 10 })
        report.resolve(() => progress({ progress: 20 }))
      },
    })
    await using runner = runnerOf(task)
    const { call, progress } = callOf()
    await runner.run('Late', call)
    ;(await report.promise)()
    expect(progress).toEqual([{ progress: 10 }])
  })

  it('ends the requests that the handler leaves open', async () => {
    const aborted = Promise.withResolvers<unknown>()
    const request: HandlerRequester = (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.resolve(signal.reason)
          reject(signal.reason)
        })
      })
    const task = defineTask({
      name: 'Careless',
      run(context) {
        context.request({ url: 'http://example.test/' }).catch(() => {})
        return 'done'
      },
    })
    await using runner = runnerOf(task, { request })
    expect(await runner.run('Careless', callOf().call)).toBe('done')
    expect(await aborted.promise).toMatchObject({ message: 'The task has ended' })
  })

  it('leaves no listener on the signal it was given', async () => {
    await using runner = runnerOf(defineTask({ name: 'Quick', run: () => 1 }))
    const { call, stop } = callOf()
    const added: unknown[] = []
    const { signal } = stop
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      added.push(args[1])
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      added.splice(added.indexOf(args[1]), 1)
      removeEventListener.apply(signal, args)
    }
    await runner.run('Quick', call)
    expect(added).toEqual([])
  })

  it('ends what runs when it closes, and refuses what comes later', async () => {
    const task = defineTask({ name: 'Wait', run: () => new Promise(() => {}) })
    const runner = runnerOf(task)
    const running = runner.run('Wait', callOf().call)
    const closed = [runner.close(), runner.close()]
    await expect(running).rejects.toMatchObject({ code: 'worker_lost' })
    await Promise.all(closed)
    await expect(runner.run('Wait', callOf().call)).rejects.toMatchObject({ code: 'worker_lost' })
  })
})
