import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lastingPort } from '@tributary/testkit'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ServiceProcess, startGateway } from '../processes.ts'
import { Chromium, findChromium } from './chromium.ts'

const { executable, reason } = findChromium()
if (reason !== undefined) process.stderr.write(`the tests of readers in a browser are skipped: ${reason}\n`)

const ROOT = new URL('../../', import.meta.url)
const PROTOCOL = '/modules/packages/protocol'

/** A page whose readers note what they get. It loads our sources as they are, without a bundler. */
const PAGE = `<!doctype html>
<script type="importmap">${JSON.stringify({
  imports: {
    '@tributary/client': '/modules/packages/client/src/index.ts',
    '@tributary/protocol': `${PROTOCOL}/src/index.ts`,
    'eventsource-parser': `${PROTOCOL}/node_modules/eventsource-parser/dist/index.js`,
    typebox: `${PROTOCOL}/node_modules/typebox/build/index.mjs`,
  },
})}</script>
<script type="module">
  import { EventSource as OurEventSource } from "@tributary/client"
  const CONNECT = '/api/sse/managed/connect?timeout=1000'
  const open = {
    native: () => new EventSource(CONNECT + '&token=alice-token'),
    ours: () => new OurEventSource(CONNECT, { headers: { 'X-Auth-Token': 'alice-token' } }),
  }
  globalThis.read = (name) => {
    const seen = { numbers: [], ids: [], gaps: 0, connections: 0, rotations: 0 }
    const source = open[name]()
    source.addEventListener('connection', () => { seen.connections += 1 })
    source.addEventListener('disconnected', () => { seen.rotations += 1 })
    source.addEventListener('gap', () => { seen.gaps += 1 })
    source.addEventListener('number', ({ data, lastEventId }) => {
      seen.numbers.push(JSON.parse(data))
      seen.ids.push(lastEventId)
    })
    Object.assign(globalThis, { seen, source })
  }
</script>`

/** Serves the page and its modules at a service's own address, so that nothing is asked of another origin. */
async function serveReaders(context: BrowserContext, url: string): Promise<void> {
  await context.route(`${url}/readers.html`, (route) =>
    route.fulfill({ contentType: 'text/html', body: PAGE }),
  )
  await context.route(`${url}/modules/**`, async (route) => {
    const path = new URL(route.request().url()).pathname.slice('/modules/'.length)
    const source = await readFile(fileURLToPath(new URL(path, ROOT)), 'utf8')
    const body = path.endsWith('.ts') ? stripTypeScriptTypes(source) : source
    await route.fulfill({ contentType: 'text/javascript', body })
  })
}

describe.skipIf(executable === undefined)('in a browser', () => {
  const owned = new AsyncDisposableStack()
  let gateway: ServiceProcess
  let page: Page
  const complaints: string[] = []

  let start: () => Promise<ServiceProcess>

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-readers-'))
    owned.defer(() => rm(folder, { recursive: true, force: true }))
    const port = await lastingPort()
    start = async () => owned.use(await startGateway({ cwd: folder, port, env: { RETRY_MS: '50' } }))
    gateway = await start()
    const chromium = owned.use(await Chromium.launch(executable ?? ''))
    await serveReaders(chromium.context, gateway.url)
    page = await chromium.context.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    await page.goto(`${gateway.url}/readers.html`)
    await page.waitForFunction('globalThis.read')
  })
  afterAll(() => owned.disposeAsync())

  const publish = async (number: number) => {
    const answer = await fetch(`${gateway.url}/api/sse/managed/send/user/alice`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'X-Auth-Token': 'test-token' },
      body: JSON.stringify({ event: 'number', data: number }),
    })
    expect(answer.status).toBe(200)
  }

  test.each([
    ['the native EventSource', 'native'],
    ['our EventSource, with a token in a header,', 'ours'],
  ])('%s gets each event once and in order through rotations', async (_, reader) => {
    await page.evaluate(`read('${reader}')`)
    await page.waitForFunction('seen.connections === 1')
    const expected: number[] = []
    for (let rotation = 1; rotation <= 3; rotation += 1) {
      for (const moment of [`seen.rotations >= ${rotation}`, `seen.connections > ${rotation}`, 'true']) {
        expected.push(expected.length)
        await publish(expected.length - 1)
        await page.waitForFunction(moment)
      }
    }
    await page.waitForFunction(`seen.numbers.length >= ${expected.length}`)
    await publish(-1)
    await page.waitForFunction('seen.numbers.includes(-1)')
    await page.evaluate('source.close()')
    expect(await page.evaluate('seen.numbers')).toEqual([...expected, -1])
    expect(await page.evaluate('new Set(seen.ids).size')).toBe(expected.length + 1)
    expect(await page.evaluate('seen.gaps')).toBe(0)
    expect(await page.evaluate('source.readyState')).toBe(2)
    expect(complaints).toEqual([])
  })

  test.each([
    ['the native EventSource', 'native'],
    ['our EventSource', 'ours'],
  ])('%s misses nothing over the death of its gateway, and gets nothing twice', async (_, reader) => {
    await page.evaluate(`read('${reader}')`)
    await page.waitForFunction('seen.connections === 1')
    await publish(1)
    await page.waitForFunction('seen.numbers.includes(1)')
    // Answered, and perhaps on its way to the page: it is stored in any case.
    await publish(2)
    await gateway.kill()
    gateway = await start()
    await publish(3)
    await page.waitForFunction('seen.numbers.includes(3)')
    await publish(4)
    await page.waitForFunction('seen.numbers.includes(4)')
    await page.evaluate('source.close()')
    expect(await page.evaluate('seen.numbers')).toEqual([1, 2, 3, 4])
    expect(await page.evaluate('seen.gaps')).toBe(0)
  })
})
