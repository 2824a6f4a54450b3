/** One value of a scrape. */
export interface ScrapedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** All values of one metric; of a histogram its buckets, sum and count. */
export interface ScrapedMetric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly samples: ScrapedSample[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\[\\\\"n])*)"'
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`)
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (NaN|[+-]?Inf|[-+0-9.e]+)$`)
const ONE_LABEL = new RegExp(LABEL, 'g')

/**
 * Reads the text format of Prometheus (0.0.4), more strictly than Prometheus does: every metric has its HELP and TYPE
 * once and in front, no sample comes twice, buckets rise and end in the count.
 *
 * @throws Error that names the line.
 */
export function parseScrape(text: string): Map<string, ScrapedMetric> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const metrics = new Map<string, ScrapedMetric>()
  let help: readonly [name: string, text: string] | undefined
  let current: ScrapedMetric | undefined
  for (const line of text.split('\n')) {
    const [, helpName = '', helpText = ''] = HELP.exec(line) ?? []
    const [, typeName = '', type = ''] = TYPE.exec(line) ?? []
    if (line === '') continue
    if (helpName !== '') help = [helpName, helpText]
    else if (typeName !== '') {
      if (help?.[0] !== typeName || metrics.has(typeName)) throw new Error(`out of place: ${line}`)
      current = { name: typeName, help: help[1], type, samples: [] }
      metrics.set(typeName, current)
    } else current = addSample(current, line)
  }
  for (const metric of metrics.values()) check(metric)
  return metrics
}

/** The value with these labels, exactly; `undefined` where there is none. */
export function scrapedValue(
  metrics: ReadonlyMap<string, ScrapedMetric>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = metrics.get(name.replace(/_(count|sum|bucket)$/, '')) ?? metrics.get(name)
  return family?.samples.find((sample) => sample.name === name && keyOf(sample.labels) === keyOf(labels))
    ?.value
}

function addSample(metric: ScrapedMetric | undefined, line: string): ScrapedMetric {
  const parsed = SAMPLE.exec(line)
  if (metric === undefined || parsed === null) throw new Error(`no sample of a metric: ${line}`)
  const [, name = '', labelText = ''] = parsed
  const suffixes = metric.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  if (!suffixes.some((suffix) => name === metric.name + suffix)) throw new Error(`of another metric: ${line}`)
  const labels = Object.fromEntries(
    [...labelText.matchAll(ONE_LABEL)].map(([, key = '', value = '']) => [key, value]),
  )
  const value = Number((parsed.at(-1) ?? '').replace('Inf', 'Infinity'))
  if (metric.samples.some((other) => other.name === name && keyOf(other.labels) === keyOf(labels))) {
    throw new Error(`twice: ${line}`)
  }
  metric.samples.push({ name, labels, value })
  return metric
}

function check({ name, type, samples }: ScrapedMetric): void {
  if (type === 'counter' && samples.some(({ value }) => value < 0)) throw new Error(`${name} is negative`)
  if (type !== 'histogram') return
  const series = Map.groupBy(samples, ({ labels: { le: _, ...rest } }) => keyOf(rest))
  for (const [key, of] of series) {
    const buckets = of.filter((sample) => sample.name.endsWith('_bucket'))
    const counts = buckets.map(({ value }) => value)
    const rises = counts.every((count, index) => count >= (counts[index - 1] ?? 0))
    const total = of.find((sample) => sample.name.endsWith('_count'))?.value
    const last = buckets.at(-1)
    if (!rises || last?.labels.le !== '+Inf' || last.value !== total)
      throw new Error(`${name} ${key} does not add up`)
  }
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted())
}
