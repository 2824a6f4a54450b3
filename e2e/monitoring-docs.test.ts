import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codeSpans, tables } from './markdown.ts'
import { parseScrape, type ScrapedMetric } from './prometheus-text.ts'
import { startGateway, startWorker } from './services.ts'

const ROOT = resolve(import.meta.dirname, '..')
const page = readFileSync(join(ROOT, 'docs/monitoring.md'), 'utf8')

async function scrapeBoth() {
  await using worker = await startWorker()
  await using gateway = await startGateway({ workers: [worker] })
  const scrape = async ({ url }: { readonly url: string }) =>
    parseScrape(await (await fetch(`${url}/metrics`)).text())
  return { gateway: await scrape(gateway), worker: await scrape(worker) }
}

describe('docs/monitoring.md', () => {
  const documented = tables(page).filter(([head]) => head?.[0] === 'metric')
  const rows = documented.flatMap(([, ...each]) => each)
  const isOurs = (name: string) => name.startsWith('tributary_')

  it('has every metric of ours once, with its type, who has it and what it is, and no other', async () => {
    const { gateway, worker } = await scrapeBoth()
    const row = ({ name, type, help }: ScrapedMetric) => {
      const of = gateway.has(name) ? (worker.has(name) ? 'both' : 'gateway') : 'worker'
      return [`\`${name}\``, type, of, help]
    }
    const exposed = [...new Map([...gateway, ...worker]).values()].filter(({ name }) => isOurs(name))
    const ours = rows.filter(([name = '']) => isOurs(name.slice(1)))
    expect(ours.toSorted()).toEqual(exposed.map(row).toSorted())
  })

  it('has those of the process, which are fewer on some systems', async () => {
    const { gateway, worker } = await scrapeBoth()
    const names = rows.map(([name = '']) => name.slice(1, -1))
    const others = [...gateway.keys(), ...worker.keys()].filter((name) => !isOurs(name))
    expect(others.filter((name) => !names.includes(name))).toEqual([])
    expect(new Set(names).size).toBe(names.length)
  })

  it('names no metric that there is not', async () => {
    const { gateway, worker } = await scrapeBoth()
    const known = new Set([...gateway.keys(), ...worker.keys()])
    const named = codeSpans(page).flatMap((span) => span.match(/\btributary_\w+/g) ?? [])
    expect(named.map((name) => name.replace(/_bucket$/, '')).filter((name) => !known.has(name))).toEqual([])
  })

  it('follows the conventions: our prefix, base units, and `_total` for what only rises', async () => {
    const { gateway, worker } = await scrapeBoth()
    const ours = [...gateway.values(), ...worker.values()].filter(({ name }) => isOurs(name))
    expect(ours.length).toBeGreaterThan(30)
    for (const { name, type } of ours) {
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
      expect(name).not.toMatch(/_(ms|milliseconds|kb|mb|minutes)(_|$)/)
    }
  })
})
