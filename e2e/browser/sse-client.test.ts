import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type ServiceProcess, startGateway, startWorker } from '../processes.ts'
import { Chromium, findChromium } from './chromium.ts'
import { ClientPage } from './client-page.ts'

const { executable, reason } = findChromium()
if (reason !== undefined) process.stderr.write(`the tests of the stream client are skipped: ${reason}\n`)

describe.skipIf(executable === undefined)('the stream client page', () => {
  const owned = new AsyncDisposableStack()
  let worker: ServiceProcess
  let gateway: ServiceProcess
  let chromium: Chromium
  let client: ClientPage

  beforeAll(async () => {
    worker = owned.use(await startWorker({ env: { OUTBOUND_ALLOW: '127.0.0.1' } }))
    gateway = owned.use(await startGateway({ workers: [worker], env: { RETRY_MS: '50' } }))
    chromium = owned.use(await Chromium.launch(executable ?? ''))
  })
  afterAll(() => owned.disposeAsync())

  const open = async (service: ServiceProcess) => {
    await client?.[Symbol.asyncDispose]()
    client = await ClientPage.open(chromium.context, service.url)
  }
  beforeEach(() => open(gateway))
  afterEach(async () => {
    await client[Symbol.asyncDispose]()
    expect(client.complaints).toEqual([])
    expect(client.strangers).toEqual([])
  })

  const startTasks = async (tasks: unknown[]) => {
    await client.choose('Parallel tasks')
    await client.field('tasks').fill(JSON.stringify({ tasks }))
    await client.start()
  }

  describe('a user’s stream', () => {
    test('shows what is broadcast from the page, as text', async () => {
      await client.connect()
      const answer = await client.send('All', { event: 'news', data: '{"text": "<b>Hello</b>"}' })
      expect(answer).toMatch(/^Delivered to 1 connection\. Id \d+-\d+$/)
      const row = client.rows('news')
      await row.locator('summary').click()
      expect(await row.locator('pre').textContent()).toBe('{\n  "text": "<b>Hello</b>"\n}')
      expect(await row.locator('b').count()).toBe(0)
      expect(await client.page.locator('#fact-last-id').textContent()).toBe(answer.split(' ').at(-1))
      expect(await client.state.textContent()).toBe('Connected')
    })

    test('takes a message of the type `error` for a message', async () => {
      await client.connect()
      await client.send('User', { user: 'demo', event: 'error', data: 'no harm done' })
      await client.rows('error').waitFor()
      expect(await client.state.textContent()).toBe('Connected')
      expect(await client.page.locator('#fact-reconnects').textContent()).toBe('0')
    })

    test('reaches a group while its connection is in it', async () => {
      await client.choose('Group')
      await client.field('groupId').fill('crew')
      await client.connect()
      expect(await client.send('Group', { group: 'crew', event: 'message', data: '1' })).toMatch(
        /to 1 connection/,
      )
      await client.rows('message').waitFor()
      await client.page.getByRole('button', { name: 'Leave crew' }).click()
      await client.page.locator('#own-groups', { hasText: 'none' }).waitFor()
      expect(await client.send('Group', { group: 'crew', data: '2' })).toMatch(/to 0 connections/)
      await client.page.getByLabel('Group to join').fill('crew')
      await client.page.getByRole('button', { name: 'Join' }).click()
      await client.page.getByRole('button', { name: 'Leave crew' }).waitFor()
      expect(await client.send('Group', { group: 'crew', data: '3' })).toMatch(/to 1 connection/)
      await expect.poll(() => client.rows('message').count()).toBe(2)
    })

    test('reaches who bears the metadata, and leaves no id where it is ephemeral', async () => {
      await client.field('metadata').fill('{"plan": "gold"}')
      await client.connect()
      const other = await client.send('Filtered', { where: '{"plan": "silver"}', event: 'offer', data: '{}' })
      expect(other).toMatch(/to 0 connections/)
      await client.page.getByLabel('Ephemeral').check()
      const own = await client.send('Filtered', { where: '{"plan": "gold"}' })
      expect(own).toBe('Delivered to 1 connection. Ephemeral, so without an id.')
      await client.rows('offer').waitFor()
      expect(await client.rows('offer').locator('.id').textContent()).toBe('')
    })

    test('comes back when its time is over, and misses nothing', async () => {
      await client.unfoldOptions()
      await client.field('timeout').fill('300')
      await client.connect()
      const reconnects = async () => Number(await client.page.locator('#fact-reconnects').textContent())
      await expect.poll(reconnects).toBeGreaterThanOrEqual(1)
      for (const data of ['1', '2', '3']) {
        await client.send('All', { event: 'tick', data })
        const before = await reconnects()
        await expect.poll(reconnects).toBeGreaterThan(before)
      }
      await expect.poll(() => client.rows('tick').count()).toBe(3)
    })

    test('stays closed when it is closed by hand', async () => {
      await client.connect()
      await client.page.locator('#connection-rows li', { hasText: 'this page' }).getByText('Close').click()
      expect(await client.ended()).toBe('Closed by the server')
      expect(await client.page.locator('#state-detail').textContent()).toContain('forced (Closed by hand)')
    })

    test('says why it was refused', async () => {
      await client.field('token').fill('no-such-token')
      await client.start()
      expect(await client.ended()).toBe('Failed')
      expect(await client.page.locator('#state-detail').textContent()).toBe('The token is not known (401).')
      // The browser itself complains of each answer that is no success.
      expect(client.complaints.splice(0).filter((text) => !text.includes('401'))).toEqual([])
    })
  })

  describe('a run', () => {
    test('fills the bars of its tasks', async () => {
      await client.choose('Sample: five calls at once')
      await client.recordWidths()
      await client.start()
      expect(await client.ended()).toBe('Run succeeded')
      const widths = await client.recordedWidths()
      for (const bar of ['large', 'run']) {
        expect(widths[bar]?.some((width) => width > 0 && width < 100)).toBe(true)
      }
      for (const bar of ['users', 'orders', 'slow', 'flaky', 'large', 'run']) {
        expect([bar, widths[bar]?.at(-1)]).toEqual([bar, 100])
      }
      const isFull = () =>
        client.task('large').evaluate((row) => {
          const [bar, fill] = ['.bar', '.fill'].map(
            (name) => row.querySelector(name)?.getBoundingClientRect().width,
          )
          return bar !== undefined && bar > 0 && bar === fill
        })
      await expect.poll(isFull).toBe(true)
      expect(await client.counts.textContent()).toMatch(/^succeeded: 5 succeeded, 0 failed of 5 in /)
    })

    test('shows the task that failed, and counts it', async () => {
      await startTasks([
        { id: 'users', url: `${worker.url}/api/sample/users` },
        { id: 'missing', name: 'Fetch nobody', url: `${worker.url}/api/sample/users/99` },
        { id: 'orders', url: `${worker.url}/api/sample/orders` },
      ])
      expect(await client.ended()).toBe('Run partly succeeded')
      expect(await client.counts.textContent()).toMatch(/^partial: 2 succeeded, 1 failed of 3 in /)
      expect(await client.task('missing').getAttribute('data-state')).toBe('failed')
      expect(await client.task('missing').textContent()).toMatch(/Fetch nobody.*failed: http_4xx.*HTTP 404/s)
      expect(await client.page.locator('.task[data-state=done]').count()).toBe(2)
    })

    test('voids the progress of an attempt that is tried again', async () => {
      const url = await halfAnswers()
      await startTasks([{ id: 'torn', url }])
      expect(await client.ended()).toBe('Run succeeded')
      const row = client.task('torn')
      expect(await row.textContent()).toMatch(
        /attempt 2.*Attempt 1 failed: connection_reset\. Its 50 % are void\./s,
      )
      const ghost = await row
        .locator('.ghost')
        .evaluate((element) => (element as HTMLElement).style.inlineSize)
      expect(ghost).toBe('50%')
    })

    test('ends when it is cancelled', async () => {
      await startTasks([{ id: 'long', url: `${worker.url}/api/sample/slow?ms=60000` }])
      await client.task('long').waitFor()
      await client.page.getByRole('button', { name: 'Cancel run' }).click()
      expect(await client.ended()).toBe('Run cancelled')
      expect(await client.task('long').getAttribute('data-state')).toBe('cancelled')
      expect(await client.counts.textContent()).toMatch(/^cancelled: 0 succeeded, 1 failed of 1/)
      expect(await client.page.getByRole('button', { name: 'Cancel run' }).isVisible()).toBe(false)
    })

    test('is read on where it was when its POST has ended', async () => {
      await client.unfoldOptions()
      await client.field('timeout').fill('400')
      await startTasks([
        { id: 'first', url: `${worker.url}/api/sample/users` },
        { id: 'last', url: `${worker.url}/api/sample/slow?ms=1200` },
      ])
      expect(await client.ended()).toBe('Run succeeded')
      expect(Number(await client.page.locator('#fact-reconnects').textContent())).toBeGreaterThan(0)
      expect(await client.rows('task_complete').count()).toBe(2)
      expect(await client.counts.textContent()).toMatch(/^succeeded: 2 succeeded/)
    })

    test('runs partly here and partly at a worker', async () => {
      await client.choose('Local and remote tasks')
      await client
        .field('localTasks')
        .fill('[{"id": "here", "name": "Calculate Stats", "input": {"count": 50000}}]')
      await client.field('remoteTasks').fill('[{"id": "there", "name": "Fetch External Data"}]')
      await client.start()
      expect(await client.ended()).toBe('Run succeeded')
      expect(await client.task('here').locator('.origin').textContent()).toBe('gateway')
      expect(await client.task('there').locator('.origin').textContent()).toBe('worker')
      expect(await client.page.locator('.task[data-state=done]').count()).toBe(2)
    })

    test('is of several streams where they are merged', async () => {
      await client.choose('Merge streams')
      await client.page.getByRole('button', { name: 'Add a stream' }).click()
      await client.page.keyboard.type('/api/sse/no-such-stream')
      await client.start()
      expect(await client.ended()).toBe('Run partly succeeded')
      const sources = await client.page.locator('#source-states').textContent()
      expect(sources).toMatch(/sample ended/)
      expect(sources).toMatch(/flow ended/)
      expect(sources).toMatch(/no-such-stream failed/)
      expect(await client.rows('flow_item').count()).toBe(8)
    })

    test('is understood in envelopes, and relayed', async () => {
      await client.choose('Sample: three downloads')
      await client.unfoldOptions()
      await client.field('format').selectOption('envelope')
      await client.start()
      expect(await client.ended()).toBe('Run succeeded')
      expect(await client.page.locator('.task[data-state=done]').count()).toBe(3)
      await client.rows('complete').locator('summary').click()
      expect(await client.rows('complete').locator('pre').textContent()).toContain('"version": "1"')
    })

    test('is not started with what is no JSON', async () => {
      await client.choose('Parallel tasks')
      await client.field('tasks').fill('{"tasks": [')
      await client.start()
      expect(await client.page.getByRole('alert').first().textContent()).toMatch(
        /^The list of tasks is not valid JSON/,
      )
      expect(await client.field('tasks').getAttribute('aria-invalid')).toBe('true')
      expect(await client.state.textContent()).toBe('Not connected')
    })
  })

  describe('the log', () => {
    test('keeps the newest 500, pauses, filters and is cleared', async () => {
      await client.connect()
      const publish = (event: string) =>
        fetch(`${gateway.url}/api/sse/managed/send/user/demo`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-auth-token': 'test-token' },
          body: JSON.stringify({ event, data: null }),
        })
      await Promise.all(Array.from({ length: 520 }, () => publish('message')))
      await expect.poll(() => client.page.locator('#fact-events').textContent()).toBe('521')
      expect(await client.page.locator('#log > li').count()).toBe(500)
      expect(await client.page.locator('#log-note').textContent()).toBe('The newest 500 of 521')

      await client.page.getByRole('button', { name: 'Pause' }).click()
      await client.send('All', { event: 'late', data: '' })
      await client.page.getByText('Paused, 1 waiting').waitFor()
      expect(await client.rows('late').count()).toBe(0)
      await client.page.getByRole('button', { name: 'Resume' }).click()
      await client.rows('late').waitFor()

      await client.page.getByRole('button', { name: /^late/ }).click()
      expect(await client.page.locator('#log > li:visible').count()).toBe(1)
      await client.page.getByRole('button', { name: 'Clear' }).click()
      await client.page.getByText('Nothing yet.').waitFor()
    })
  })

  describe('on a worker', () => {
    beforeEach(() => open(worker))

    test('offers what a worker has, and no more', async () => {
      const labels = await client.page.locator('#kind option').allTextContents()
      expect(labels).toEqual([
        'Sample: five calls at once',
        'Sample: three downloads',
        'Sample: a flow of items',
        'Parallel tasks',
        'Watch a run',
      ])
      expect(await client.page.locator('#service').textContent()).toBe('worker')
      expect(await client.page.locator('#send-form').isVisible()).toBe(false)
      expect(await client.page.locator('#connections').isVisible()).toBe(false)
    })

    test('runs the example of calls as it stands', async () => {
      await client.choose('Parallel tasks')
      await client.start()
      expect(await client.ended()).toBe('Run partly succeeded')
      expect(await client.counts.textContent()).toMatch(/^partial: 5 succeeded, 1 failed of 6/)
    })

    test('shows a flow, whose run is then watched from its first event', async () => {
      await client.choose('Sample: a flow of items')
      await client.field('count').fill('3')
      await client.field('intervalMs').fill('50')
      await client.start()
      expect(await client.ended()).toBe('Run succeeded')
      expect(
        await client.page.getByRole('progressbar', { name: 'The run' }).getAttribute('aria-valuenow'),
      ).toBe('100')
      const runId = (await client.page.locator('#run-id').textContent()) ?? ''
      await client.page.getByRole('button', { name: `Watch ${runId}` }).click()
      await client.page.locator('#request', { hasText: runId }).waitFor()
      expect(await client.ended()).toBe('Run succeeded')
      await expect.poll(() => client.rows('flow_item').count()).toBe(3)
    })
  })
})

/** A server whose every other answer breaks off half-way. */
async function halfAnswers(): Promise<string> {
  let calls = 0
  const server = createServer((_, response) => {
    calls += 1
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 1_000 })
    response.write('x'.repeat(500))
    const half = calls
    setTimeout(() => (half % 2 === 1 ? response.destroy() : response.end('x'.repeat(500))), 100)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}/` : ''
}
