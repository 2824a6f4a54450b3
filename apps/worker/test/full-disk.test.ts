import { StoreUnavailableError } from '@tributary/eventlog'
import { Run } from '@tributary/runs'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { serveHeld } from './held-api.ts'
import { type RunningWorker, startWorker } from './running-worker.ts'
import { openFolder } from './worker-folder.ts'

/** Makes the worker's disk one that can be full: then nothing is appended to the log of any run. */
function withDisk({ deps }: RunningWorker): { full: boolean } {
  const disk = { full: false }
  const { store } = deps
  const open = store.open.bind(store)
  const refuse = () => Promise.reject(new StoreUnavailableError('the disk is full'))
  store.open = async (name, options) => {
    if (disk.full) return refuse()
    const log = await open(name, options)
    const append = log.append.bind(log)
    const close = log.close.bind(log)
    log.append = (...given) => (disk.full ? refuse() : append(...given))
    log.close = (...given) => (disk.full ? refuse() : close(...given))
    return log
  }
  return disk
}

/** Time for whatever might happen that should not. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
}

describe('a worker whose disk is full', () => {
  async function startStalled(worker: RunningWorker, api: Awaited<ReturnType<typeof serveHeld>>) {
    const disk = withDisk(worker)
    const { runId } = await worker.start({
      concurrency: 1,
      tasks: ['a', 'b', 'c'].map((id) => ({ id, url: `${api.url}/${id}`, method: 'POST' })),
    })
    await api.called(1)
    disk.full = true
    await api.answer('/a')
    const run = await worker.deps.runs.find(runId)
    if (!(run instanceof Run)) throw new Error('the run goes on')
    while (run.stall === undefined) await new Promise(setImmediate)
    await turns()
    expect(api.calls).toEqual(['POST /a'])
    return { disk, run }
  }

  it('takes no run, begins no task, and goes on with all once there is room', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const { disk, run } = await startStalled(worker, api)
    const refused = await worker.post({ tasks: ['Any'] })
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ code: 'store_unavailable' })
    disk.full = false
    await api.answer('/b')
    await api.answer('/c')
    await run.ended
    expect(run.view()).toMatchObject({ status: 'succeeded', successCount: 3 })
    expect(api.calls).toEqual(['POST /a', 'POST /b', 'POST /c'])
  })

  it('cancels as soon as that can be stored', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const { disk, run } = await startStalled(worker, api)
    const cancelled = fetch(`${worker.url}/api/runs/${run.id}/cancel`, { method: 'POST' })
    while (!run.signal.aborted) await new Promise(setImmediate)
    await turns()
    disk.full = false
    expect(await (await cancelled).json()).toMatchObject({ cancelled: true, status: 'cancelled' })
    expect(run.view()).toMatchObject({ successCount: 1, errorCount: 2 })
    expect(api.calls).toEqual(['POST /a'])
  })

  it('refuses to say that a run is cancelled which a crash would bring back', async () => {
    const clock = new FakeClock()
    await using api = await serveHeld()
    await using worker = await startWorker({}, { clock })
    const disk = withDisk(worker)
    const { runId } = await worker.start({ tasks: [{ id: 'a', url: `${api.url}/a` }] })
    await api.called(1)
    const run = await worker.deps.runs.find(runId)
    if (!(run instanceof Run)) throw new Error('the run goes on')
    disk.full = true
    const answer = fetch(`${worker.url}/api/runs/${runId}/cancel`, { method: 'POST' })
    while (!run.signal.aborted) await new Promise(setImmediate)
    clock.advance(10_000)
    const refused = await answer
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await refused.json()).toMatchObject({
      code: 'store_unavailable',
      detail: expect.stringContaining(
        'the run is cancelled, but a crash before that is stored would undo it',
      ),
    })
    disk.full = false
    const again = fetch(`${worker.url}/api/runs/${runId}/cancel`, { method: 'POST' })
    const advancing = setInterval(() => clock.advance(1_000))
    expect(await (await again).json()).toMatchObject({ runId, status: 'cancelled' })
    clearInterval(advancing)
  })

  it('does not hold up a drain', async () => {
    await using api = await serveHeld()
    await using folder = await openFolder()
    await using worker = await folder.start()
    const { run } = await startStalled(worker, api)
    const drained = worker.deps.runs.drain(10_000)
    await run.ended
    expect(run.isSuspended).toBe(true)
    await turns()
    expect(worker.deps.scheduler).toMatchObject({ activeCount: 0, laneCount: 0 })
    expect(api.calls).toEqual(['POST /a'])
    await drained
  })
})
