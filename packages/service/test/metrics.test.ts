import { FakeClock } from '@tributary/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { ServiceMetrics } from '../src/index.ts'
import { serve } from './service-under-test.ts'

function metricsUnderTest(): ServiceMetrics {
  const metrics = new ServiceMetrics(new FakeClock())
  onTestFinished(() => metrics.close())
  return metrics
}

/** The lines of a metric in a scrape. */
async function linesOf(metrics: ServiceMetrics, name: string): Promise<string[]> {
  const text = await metrics.registry.scrape()
  return text.split('\n').filter((line) => line.startsWith(name))
}

test('requests are counted by route, not by address, and what watches the service is not', async () => {
  const metrics = metricsUnderTest()
  const { app } = await serve({ metrics })
  for (const url of ['/api/things/1', '/api/things/2', '/healthz', '/readyz', '/metrics'])
    await app.inject(url)
  await app.inject('/nowhere?token=t-1')
  await app.inject('/api/broken')
  expect(await linesOf(metrics, 'tributary_http_requests_total')).toEqual([
    'tributary_http_requests_total{method="GET",route="/api/things/:id",status="200"} 2',
    'tributary_http_requests_total{method="GET",route="(none)",status="404"} 1',
    'tributary_http_requests_total{method="GET",route="/api/broken",status="500"} 1',
  ])
  expect(await linesOf(metrics, 'tributary_http_problems_total')).toEqual([
    'tributary_http_problems_total{code="not_found",category="client"} 1',
    'tributary_http_problems_total{code="internal_error",category="server"} 1',
  ])
  expect([metrics.errorRate.value, metrics.errorRate.failures]).toEqual([0.25, 1])
})

test('streams that break off count as failures, and others do not', async () => {
  const metrics = metricsUnderTest()
  for (const end of ['timeout', 'gone', 'slow_consumer', 'forced']) {
    metrics.streams.opened()
    metrics.streams.ended(end)
  }
  expect(metrics.errorRate.value).toBe(0.25)
  expect(await linesOf(metrics, 'tributary_streams_ended_total')).toHaveLength(4)
})

test('two registries in one process know nothing of each other', async () => {
  const [first, second] = [metricsUnderTest(), metricsUnderTest()]
  first.streams.gap('expired')
  expect(await linesOf(first, 'tributary_gaps_total')).toEqual(['tributary_gaps_total{reason="expired"} 1'])
  expect(await linesOf(second, 'tributary_gaps_total')).toEqual([])
})

test('a label that holds quotes and breaks is written as one', async () => {
  const metrics = metricsUnderTest()
  metrics.registry.gauge({ name: 'tributary_strange', help: 'Strange', labels: ['url'] }, () => [
    { labels: { url: 'a"b\\c\nd' }, value: 1 },
  ])
  expect(await linesOf(metrics, 'tributary_strange')).toEqual([
    String.raw`tributary_strange{url="a\"b\\c\nd"} 1`,
  ])
})

test('what is told at a scrape is what stands then, without what is gone', async () => {
  const metrics = metricsUnderTest()
  let states = [{ labels: { state: 'idle' }, value: 2 }]
  metrics.registry.gauge({ name: 'tributary_some', help: 'Some', labels: ['state'] }, () => states)
  expect(await linesOf(metrics, 'tributary_some')).toEqual(['tributary_some{state="idle"} 2'])
  states = [{ labels: { state: 'connected' }, value: 1 }]
  expect(await linesOf(metrics, 'tributary_some')).toEqual(['tributary_some{state="connected"} 1'])
})
