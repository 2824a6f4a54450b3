import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it } from 'vitest'

const CLIENT = new URL('../src/index.ts', import.meta.url).href

it('keeps a process that does nothing else alive while it waits to come back, and lets it end after', async () => {
  await using upstream = await ScriptedUpstream.start()
  const tick = (n: number) => steps.frame({ id: String(n), data: n })
  upstream.script('/s', [tick(1), steps.destroy()], [tick(2), steps.end()], [steps.answer(204)])
  const program = `
    import { readStream } from ${JSON.stringify(CLIENT)}
    const { signal } = new AbortController()
    const options = { url: '${upstream.url}/s', fetch, signal, retryMs: 10, heartbeatMs: 60_000 }
    for await (const { data } of readStream(options)) console.log(data)
  `
  const child = spawn(
    process.execPath,
    ['--conditions=@tributary/source', '--input-type=module', '--eval', program],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  expect([output, code]).toEqual(['1\n2\n', 0])
})
