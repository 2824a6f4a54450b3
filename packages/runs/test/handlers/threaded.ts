import { threadId } from 'node:worker_threads'
import Type from 'typebox'
import { defineTask } from '../../src/handlers/define-task.ts'

export const where = defineTask({
  name: 'where',
  cpuBound: true,
  run: ({ taskId, attempt, sampleUrl }) => ({ threadId, taskId, attempt, sampleUrl }),
})

export const conditions = defineTask({
  name: 'conditions',
  cpuBound: true,
  async run() {
    const { parseCursor } = await import('@tributary/protocol')
    return { resolved: import.meta.resolve('@tributary/protocol'), cursor: parseCursor('7') }
  },
})

/** Sums squares in slices, and says how far it is after each. */
export const squares = defineTask({
  name: 'squares',
  input: Type.Object({
    upTo: Type.Integer({ minimum: 1, maximum: 1e9 }),
    slices: Type.Integer({ minimum: 1 }),
  }),
  cpuBound: true,
  run({ progress, log }, { upTo, slices }) {
    log.info('squares begin', { upTo })
    let sum = 0
    for (let slice = 1; slice <= slices; slice++) {
      const end = Math.floor((upTo * slice) / slices)
      for (let i = Math.floor((upTo * (slice - 1)) / slices) + 1; i <= end; i++) sum += i * i
      progress({ step: slice, totalSteps: slices })
    }
    return { sum }
  },
})

export const spin = defineTask({
  name: 'spin',
  cpuBound: true,
  run({ progress }) {
    progress({ progress: 1 })
    while (true);
  },
})

export const burn = defineTask({
  name: 'burn',
  cpuBound: true,
  input: Type.Object({ ms: Type.Number() }),
  run: (_context, { ms }) => burnFor(ms),
})

export const burnInline = defineTask({
  name: 'burn inline',
  input: Type.Object({ ms: Type.Number() }),
  run: (_context, { ms }) => burnFor(ms),
})

function burnFor(ms: number): number {
  const endMs = performance.now() + ms
  let rounds = 0
  while (performance.now() < endMs) rounds += 1
  return rounds
}

export const fetching = defineTask({
  name: 'fetching',
  cpuBound: true,
  input: Type.Object({ url: Type.String(), body: Type.Optional(Type.String()) }),
  async run({ request }, { url, body }) {
    const sent = body === undefined ? undefined : new TextEncoder().encode(body)
    const answer = await request({
      url,
      ...(sent === undefined ? {} : { method: 'POST', body: sent }),
      headers: { 'x-from': 'thread' },
    })
    return {
      status: answer.status,
      type: answer.headers['content-type'],
      bytes: answer.body.byteLength,
      text: new TextDecoder().decode(answer.body.subarray(0, 64)),
      kept: sent?.byteLength ?? 0,
    }
  },
})

export const failing = defineTask({
  name: 'failing',
  cpuBound: true,
  run() {
    throw Object.assign(new RangeError('out of range', { cause: new Error('the root') }), {
      code: 'invalid_json',
    })
  },
})

export const exiting = defineTask({
  name: 'exiting',
  cpuBound: true,
  run({ progress }) {
    progress({ progress: 50 })
    process.exit(3)
  },
})

export const throwingLater = defineTask({
  name: 'throwing later',
  cpuBound: true,
  run: () =>
    new Promise(() => {
      setImmediate(() => {
        throw new Error('nobody catches this')
      })
    }),
})

export const hoarding = defineTask({
  name: 'hoarding',
  cpuBound: true,
  run() {
    const hoard: number[][] = []
    while (true) hoard.push(new Array<number>(10_000).fill(hoard.length))
  },
})

export const resultOfMap = defineTask({
  name: 'result of map',
  cpuBound: true,
  run: () => ({ deep: [new Map([[1, 2]])] }),
})

export const flood = defineTask({
  name: 'flood',
  cpuBound: true,
  input: Type.Object({ reports: Type.Integer() }),
  run({ progress, log }, { reports }) {
    for (let step = 1; step <= reports; step++) {
      progress({ step, totalSteps: reports })
      log.info('step', { step })
    }
    return null
  },
})

export const lateProgress = defineTask({
  name: 'late progress',
  cpuBound: true,
  run({ progress, log }) {
    setTimeout(() => progress({ progress: 99 }), 1)
    log.warn('odd', { fn: () => 1 })
    return 'done'
  },
})
