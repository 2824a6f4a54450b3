import Type, { type Static } from 'typebox'

const Amount = (description: string) => Type.Number({ minimum: 0, description })

/** How busy a worker is. */
export const WorkerLoad = Type.Object({
  activeTasks: Amount('Attempts of tasks that go on now.'),
  waitingTasks: Amount('Attempts that wait for a slot.'),
  runs: Amount('Runs that it works at.'),
  loopDelayMs: Amount('How late its event loop is, of a hundred turns the latest but one.'),
})
export type WorkerLoad = Static<typeof WorkerLoad>

/** What a worker of a cluster tells the gateways of itself, with each renewal of its lease. */
export const WorkerInfo = Type.Object({
  load: WorkerLoad,
  handlers: Type.Optional(
    Type.Array(Type.String(), {
      description: 'The names of its registered tasks. Absent: they are too many to tell.',
    }),
  ),
  simulates: Type.Boolean({
    description: 'Whether it runs a sample under any other name, as in development.',
  }),
  draining: Type.Boolean({ description: 'Whether it takes no more runs.' }),
})
export type WorkerInfo = Static<typeof WorkerInfo>
