/** Where a worker of the gateway listens by default. */
const DEFAULT_WORKER = 'http://127.0.0.1:8080'

/**
 * Calls of the sample API: some quick, one that is retried, one with progress, one that fails.
 *
 * @param {boolean} onWorker whether this page came from the service that has the sample API
 */
export function exampleCalls(onWorker) {
  const sample = `${onWorker ? location.origin : DEFAULT_WORKER}/api/sample`
  return {
    concurrency: 4,
    tasks: [
      { id: 'users', name: 'Fetch users', url: `${sample}/users` },
      {
        id: 'order',
        name: 'Place an order',
        method: 'POST',
        url: `${sample}/orders`,
        body: { item: 'lamp' },
      },
      { id: 'slow', name: 'Wait for a slow answer', url: `${sample}/slow?ms=1500`, timeoutMs: 5000 },
      { id: 'flaky', name: 'Try a flaky service', url: `${sample}/flaky`, retries: 3 },
      { id: 'large', name: 'Download a large text', url: `${sample}/large?bytes=800000&ms=3000` },
      { id: 'missing', name: 'Fetch a user who is not there', url: `${sample}/users/99` },
    ],
    maxResultBytes: 2048,
  }
}

/** Handlers of a worker, which find the sample API by themselves; an unknown name is simulated in development. */
export function exampleHandlers() {
  return {
    tasks: [
      { id: 'orders', name: 'Fetch External Data' },
      { id: 'order', name: 'Call Third-party API', input: { body: { item: 'lamp', quantity: 2 } } },
      'Prepare the report',
      'Send the report',
      { id: 'refused', name: 'Fetch External Data', input: { url: 'http://localhost:1/' } },
    ],
  }
}

export const EXAMPLE_LOCAL = [
  { id: 'statistics', name: 'Calculate Stats', input: { count: 2_000_000 } },
  { id: 'colours', name: 'Process Image' },
]

export const EXAMPLE_REMOTE = [
  { id: 'orders', name: 'Fetch External Data' },
  { id: 'report', name: 'Prepare the report' },
]

export const EXAMPLE_SOURCES = [
  { endpoint: '/api/sse/sample-parallel', name: 'sample' },
  { endpoint: '/api/sse/flow-example?count=8&intervalMs=400', name: 'flow' },
]

/** @param {unknown} value */
export function pretty(value) {
  return JSON.stringify(value, null, 2)
}

/**
 * An array with one element on each line, which reads better in a small field.
 *
 * @param {readonly unknown[]} list
 */
export function prettyList(list) {
  return `[\n${list.map((each) => `  ${JSON.stringify(each)}`).join(',\n')}\n]`
}

/**
 * A request of tasks, each on a line of its own.
 *
 * @param {{tasks: readonly unknown[]}} request
 */
export function prettyTasks({ tasks, ...options }) {
  const lines = Object.entries(options).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  )
  const list = tasks.map((task) => `    ${JSON.stringify(task)}`).join(',\n')
  return `{\n${[...lines, `  "tasks": [\n${list}\n  ]`].join(',\n')}\n}`
}
