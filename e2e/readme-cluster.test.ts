import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { findProgram } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { afterAll, expect, it } from 'vitest'
import { fencedBlocks } from './markdown.ts'
import { findNginx } from './nginx-process.ts'
import { ShellCommand } from './shell-command.ts'
import { excerpt, frames } from './transcript.ts'

const ROOT = resolve(import.meta.dirname, '..')
const [section = ''] =
  /^## More than one machine\n.*?(?=^## )/ms.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? []
const [start, read, send, shown] = fencedBlocks(section).map(({ text }) => text)
const START_LIMIT_MS = 50_000

describeWithRedisServers('what the README says of a cluster', () => {
  const missing = ['bash', 'curl', 'npm'].filter((name) => findProgram([name]) === undefined)
  if (findNginx() === undefined) missing.push('nginx')
  if (missing.length > 0) {
    process.stderr.write(`the README's cluster is not started: there is no ${missing.join(', no ')}\n`)
    it.skip('is run as it stands there')
    return
  }
  const owned = new AsyncDisposableStack()
  let cluster: ShellCommand
  let url = ''
  const run = (command = '') =>
    owned.use(
      new ShellCommand(command.replaceAll('http://localhost:8000', url), {
        cwd: ROOT,
        env: { PATH: process.env.PATH, HOME: process.env.HOME },
      }),
    )
  afterAll(() => owned.disposeAsync())

  it('starts', async () => {
    expect(start).toBe('npm run cluster')
    cluster = run(start)
    const told = () => cluster.output + cluster.complaints
    await expect.poll(told, { timeout: START_LIMIT_MS }).toContain('Ctrl-C ends all')
    url = /nginx +(http:\S+)/.exec(cluster.output)?.[1] ?? ''
    expect(url).not.toBe('')
  })

  it('shows at one gateway what is sent to another', async () => {
    const reader = run(read)
    await expect.poll(() => reader.output, { timeout: 10_000 }).toContain('event: connection')
    // One after the other goes to either gateway.
    for (const sender of [run(send), run(send)]) expect(await sender.ended, sender.complaints).toBe(0)
    const expected = frames(shown ?? '')
    expect(expected).not.toEqual([])
    await expect.poll(() => excerpt(frames(reader.output), expected), { timeout: 10_000 }).toEqual(expected)
    await expect.poll(() => reader.output.match(/^event: hello$/gm)?.length, { timeout: 10_000 }).toBe(2)
  })

  it('gives tokens for streams that count at every gateway', async () => {
    const authorization = 'Bearer alice-token'
    const given = await fetch(`${url}/api/auth/sse-token`, { headers: { authorization } })
    const { token } = JSON.parse(await given.text())
    const connect = `${url}/api/sse/managed/connect?token=${encodeURIComponent(token)}`
    for (const stream of [await fetch(connect), await fetch(connect)]) {
      expect(stream.status).toBe(200)
      await stream.body?.cancel()
    }
  })

  it('lets a task call the sample API of any worker, whichever carries it out', async () => {
    const workers = /workers +(.+)/.exec(cluster.output)?.[1]?.trim().split(/ +/) ?? []
    expect(workers).toHaveLength(2)
    const tasks = workers.map((worker, at) => ({ id: `w${at}`, url: `${worker}/api/sample/users/1` }))
    const answer = await fetch(`${url}/api/sse-proxy/reactive/parallel-tasks/sse-emitter`, {
      method: 'POST',
      headers: { authorization: 'Bearer test-token', 'content-type': 'application/json' },
      body: JSON.stringify({ tasks }),
    })
    expect(await answer.text()).toContain('"status":"succeeded","totalTasks":2,"successCount":2')
  })

  it('brings back a gateway that is killed as it says, while its reader goes on at the other', async () => {
    const [, pid] = /kill -9 (\d+)/.exec(cluster.output) ?? []
    process.kill(Number(pid), 'SIGKILL')
    await expect.poll(() => cluster.complaints, { timeout: 10_000 }).toContain('it is started again')
    const reader = run(read)
    await expect.poll(() => reader.output, { timeout: 10_000 }).toContain('event: connection')
  })

  it('ends with Ctrl-C, and leaves nothing that answers', async () => {
    cluster.interrupt()
    expect(await cluster.ended, cluster.complaints).toBe(0)
    expect(cluster.isAlive).toBe(false)
    await expect(fetch(url)).rejects.toThrow()
  })
})
