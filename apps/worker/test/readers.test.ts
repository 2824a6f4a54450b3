import { PollAnswer } from '@tributary/protocol'
import { Run } from '@tributary/runs'
import { dataOf, EventCollector, FakeClock } from '@tributary/testkit'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import { serveHeld } from './held-api.ts'
import { startWorker } from './running-worker.ts'

const pollAnswer = Compile(PollAnswer)

describe('a run that ends with its readers', () => {
  it('is cancelled a while after the last has left, and not while one polls', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker({ DISCONNECT_GRACE_MS: '200' })
    const body = { onDisconnect: 'cancel', tasks: [{ id: 'a', url: `${api.url}/a` }] }
    const events = await worker.run(body)
    const { runId } = await dataOf(events, 'connection')
    await api.called(1)
    const run = await worker.deps.runs.find(runId)
    await events.close()
    await run.ended
    expect(run.status).toBe('cancelled')
    const told = await EventCollector.open(`${worker.url}/api/runs/${runId}/events`)
    expect(await dataOf(told, 'complete')).toMatchObject({ status: 'cancelled', errorCount: 1 })
  })

  it('goes on while one of several is there, and where one comes back in time', async () => {
    const clock = new FakeClock()
    await using api = await serveHeld()
    await using worker = await startWorker({ DISCONNECT_GRACE_MS: '5000' }, { clock })
    const first = await worker.run({ onDisconnect: 'cancel', tasks: [{ id: 'a', url: `${api.url}/a` }] })
    const { runId } = await dataOf(first, 'connection')
    await api.called(1)
    const run = await worker.deps.runs.find(runId)
    if (!(run instanceof Run)) throw new Error('the run goes on')
    const read = () => EventCollector.open(`${worker.url}/api/runs/${runId}/events`)
    const left = async (count: number) => {
      while (worker.deps.streams.size > count) await new Promise(setImmediate)
    }
    const second = await read()
    await first.close()
    await left(1)
    clock.advance(10_000)
    expect(run.signal.aborted).toBe(false)
    await second.close()
    await left(0)
    clock.advance(4_999)
    const back = await read()
    clock.advance(5_000)
    expect(run.signal.aborted).toBe(false)
    await back.close()
    await left(0)
    clock.advance(4_999)
    expect(run.signal.aborted).toBe(false)
    clock.advance(1)
    await run.ended
    expect(run.status).toBe('cancelled')
  })

  it('goes on where one is there, by whatever way', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker({ DISCONNECT_GRACE_MS: '1000' })
    const body = { onDisconnect: 'cancel', tasks: [{ id: 'a', url: `${api.url}/a` }] }
    const { runId, events } = await worker.start(body)
    await api.called(1)
    const poll = async (query: string) =>
      pollAnswer.Parse(
        await (
          await fetch(`${worker.url + events}?${query}`, { headers: { accept: 'application/json' } })
        ).json(),
      )
    const { cursor } = await poll('limit=100')
    expect((await poll(`wait=1500&after=${encodeURIComponent(cursor)}`)).events).toEqual([])
    expect((await worker.deps.runs.find(runId)).status).toBe('running')
  })
})
