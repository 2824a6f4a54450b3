import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventCollector, lastingPort, ScriptedUpstream } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { startGateway, startWorker } from './processes.ts'
import { HYBRID, postJson, runIdOf } from './services.ts'

it('a cancel reaches a worker that was away, also where the gateway was killed in between', async () => {
  const folders = await Promise.all(
    ['worker', 'gateway'].map((name) => mkdtemp(join(tmpdir(), `owed-${name}-`))),
  )
  const [workerFolder = '', gatewayFolder = ''] = folders
  await using upstream = await ScriptedUpstream.start()
  upstream.route('/held', () => undefined)
  const workerPort = await lastingPort()
  const gatewayPort = await lastingPort()
  const env = { OUTBOUND_ALLOW: '127.0.0.1' }
  const worker = await startWorker({ cwd: workerFolder, port: workerPort, env })
  const gateway = await startGateway({ cwd: gatewayFolder, port: gatewayPort, workers: [worker] })
  try {
    const body = { remoteTasks: [{ id: 'far', url: `${upstream.url}/held` }] }
    await using reader = await EventCollector.open(gateway.url + HYBRID, { body })
    await upstream.waitForRequest('/held')
    await reader.waitFor('task_start')
    await worker.kill()
    const cancelled = await postJson(`${gateway.url}/api/runs/${runIdOf(reader)}/cancel`, {})
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled', cancelled: true })
  } finally {
    await worker.kill()
    await gateway.kill()
  }
  await using _gateway = await startGateway({
    cwd: gatewayFolder,
    port: gatewayPort,
    workers: [worker],
  })
  await using back = await startWorker({ cwd: workerFolder, port: workerPort, env })
  const statuses = async () => {
    const { runs }: { runs: { status: string }[] } = JSON.parse(
      await (await fetch(`${back.url}/api/runs`)).text(),
    )
    return runs.map(({ status }) => status)
  }
  await expect.poll(statuses, { timeout: 30_000 }).toEqual(['cancelled'])
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
})
