import Type from 'typebox'

/** The variables of the consistency check. */
export const consistencyConfig = {
  CONSISTENCY_CHECK_MS: Type.Integer({
    minimum: 0,
    maximum: 2_147_483_647,
    default: 60_000,
    description:
      'How often a service compares what it holds: connections, topics, timers, holds, and what the cluster knows of them. 0: never.',
  }),
  CONSISTENCY_ACTION: Type.Enum(['auto_correct', 'fail_fast'], {
    default: 'auto_correct',
    description: 'What follows where that does not fit: it is set right, or the process ends, and says why.',
  }),
}
