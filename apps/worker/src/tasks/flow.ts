import { setTimeout as delay } from 'node:timers/promises'
import type { ReadableLog } from '@tributary/eventlog'
import { type OutboundClient, requestWhole } from '@tributary/outbound'
import { ProblemError } from '@tributary/protocol'
import type { Run, RunOutcome, RunWork } from '@tributary/runs'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { PlannedRun } from './parallel-tasks.ts'

/** How many users of the sample API one after the other, and how long between them. */
export const FlowRequest = Type.Object({
  count: Type.Integer({ minimum: 1, maximum: 1_000 }),
  intervalMs: Type.Integer({ minimum: 1, maximum: 60_000 }),
})
export type FlowRequest = Static<typeof FlowRequest>

export interface FlowDeps {
  readonly client: OutboundClient
  /** Absent in production: then there is nothing to fetch. */
  readonly sampleUrl: string | undefined
}

const ITEM = 'flow_item'
const stored = Compile(FlowRequest)

export function planFlow(request: FlowRequest, deps: FlowDeps): PlannedRun {
  return {
    start: { kind: 'flow', totalTasks: request.count, request, anywhere: true },
    work: flow(request, deps),
  }
}

/** The work of such a run that an earlier process began. @throws ProblemError where there is nothing to fetch any more. */
export function resumeFlow(request: unknown, deps: FlowDeps): RunWork {
  if (!stored.Check(request)) {
    throw new ProblemError('invalid_request', 'What the run was asked for cannot be read any more')
  }
  return flow(request, deps)
}

/** Fetches users one after the other, an event for each. */
function flow({ count, intervalMs }: FlowRequest, { sampleUrl, client }: FlowDeps): RunWork {
  return async (run) => {
    if (sampleUrl === undefined) throw new ProblemError('not_found', 'There is no sample API here any more')
    let done = run.resumed ? await lastStep(run.log) : 0
    const outcome = (): RunOutcome => ({
      totalTasks: count,
      successCount: done,
      errorCount: count - done,
      errors: [],
    })
    const stop = AbortSignal.any([run.signal, run.draining])
    try {
      if (done > 0) await tellProgress(run, done, count)
      while (done < count) {
        stop.throwIfAborted()
        const step = done + 1
        const url = `${sampleUrl}/users/${((step - 1) % 10) + 1}`
        const answer = await requestWhole(client, { url }, run.signal)
        const item: unknown = JSON.parse(new TextDecoder().decode(answer.body))
        await run.append({ type: ITEM, data: { step, item }, source: 'worker' })
        done = step
        await tellProgress(run, done, count)
        if (done < count) await delay(intervalMs, undefined, { signal: stop })
      }
      return outcome()
    } catch (error) {
      if (run.signal.aborted) return outcome()
      if (run.draining.aborted) return undefined
      throw error
    }
  }
}

async function tellProgress(run: Run, step: number, totalSteps: number): Promise<void> {
  run.count({ successCount: step, errorCount: 0 })
  await run.emit('progress', { step, totalSteps, progress: Math.round((step / totalSteps) * 100) })
}

/** How far an earlier process came: its items are numbered from 1. */
async function lastStep(log: ReadableLog): Promise<number> {
  let step = 0
  for (let after = 0, hasMore = true; hasMore; ) {
    const page = await log.read(after)
    step += page.entries.filter(({ event }) => event.type === ITEM).length
    after = page.entries.at(-1)?.position.n ?? after
    hasMore = page.hasMore && page.entries.length > 0
  }
  return step
}
