import { EventCollector, ScriptedUpstream } from '@tributary/testkit'
import { expect } from 'vitest'
import type { Who } from './tokens.ts'

/** What the stream of a run of one task tells, from its beginning to its end. */
const WHOLE = ['connection', 'task_start', 'task_complete', 'aggregated_result', 'complete']

const BESIDE = new Set(['heartbeat', 'task_progress', 'progress', 'disconnected'])

/** Runs of a worker that are under way while something is done to it, and whose streams must miss nothing. */
export class HealthyRun {
  readonly #api: ScriptedUpstream
  readonly #workerUrl: string
  readonly #tokenOf: (who: Who) => string
  #answered = Promise.resolve()

  private constructor(api: ScriptedUpstream, workerUrl: string, tokenOf: (who: Who) => string) {
    this.#api = api
    this.#workerUrl = workerUrl
    this.#tokenOf = tokenOf
    api.route('/held', async (_request, response) => {
      await this.#answered
      response.setHeader('content-type', 'application/json').end('{"held":true}')
    })
  }

  static async open(workerUrl: string, tokenOf: (who: Who) => string): Promise<HealthyRun> {
    return new HealthyRun(await ScriptedUpstream.start(), workerUrl, tokenOf)
  }

  /** Does something while the task of a run waits for its answer, and holds that the run then goes on to its end. */
  async during<T>(act: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#answered = promise
    await using reader = await EventCollector.open(`${this.#workerUrl}/api/sse/emitter/parallel-tasks`, {
      headers: { authorization: `Bearer ${this.#tokenOf('healthy')}` },
      body: { tasks: [{ id: 'held', url: `${this.#api.url}/held` }] },
    })
    await reader.waitFor('task_start')
    try {
      return await act()
    } finally {
      resolve()
      await reader.waitFor('complete')
      const types = reader.events.map(({ type }) => type)
      expect(types.filter((type) => !BESIDE.has(type))).toEqual(WHOLE)
    }
  }

  close(): Promise<void> {
    return this.#api.close()
  }
}
