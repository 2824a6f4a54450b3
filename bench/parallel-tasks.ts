import { request } from 'undici'

export const TASKS = 1_000
export const CONCURRENCY = 50

export interface Timed {
  readonly ms: number
  /** Whether everything came that was to come. */
  readonly complete: boolean
}

/** Has a worker run the tasks: from the request to the last byte of its stream. What came is looked at after that. */
export async function parallelTasks(workerUrl: string, apiUrl: string): Promise<Timed> {
  const startedAt = performance.now()
  const tasks = Array.from({ length: TASKS }, (_, index) => ({
    id: `t${index}`,
    url: `${apiUrl}/items/${index}`,
  }))
  const { statusCode, body } = await request(`${workerUrl}/api/sse/emitter/parallel-tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tasks, concurrency: CONCURRENCY }),
  })
  const text = await body.text()
  const ms = performance.now() - startedAt
  const started = text.split('event: task_start\n').length - 1
  const completed = text.split('event: task_complete\n').length - 1
  const counted = text.includes(`"successCount":${TASKS},"errorCount":0`)
  return { ms, complete: statusCode === 200 && started === TASKS && completed === TASKS && counted }
}

/** The milliseconds of work that came through whole. */
export async function timed(work: () => Promise<Timed>): Promise<number> {
  const { ms, complete } = await work()
  if (!complete) throw new Error('calls or events are missing')
  return ms
}
