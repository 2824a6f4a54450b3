import Type, { type Static } from 'typebox'

/**
 * What a look at what a process holds can find wrong: a stream, an entry of an index or a timer that is held for what
 * has ended (`leaked_…`) or is not there for what goes on (`lost_…`), and what the cluster does not know of this node,
 * or only the cluster does.
 */
export const CONSISTENCY_FAULTS = [
  'leaked_connection',
  'leaked_subscription',
  'lost_subscription',
  'leaked_timer',
  'lost_timer',
  'leaked_hold',
  'missing_in_cluster',
  'ghost_in_cluster',
] as const
export type ConsistencyFaultKind = (typeof CONSISTENCY_FAULTS)[number]

/** One thing that does not fit. It may be under way just now: what counts is what the next look finds, too. */
export interface ConsistencyFault {
  readonly kind: ConsistencyFaultKind
  /** What it is known by from one look to the next, among those of its kind. */
  readonly id: string
  /** For people. */
  readonly detail: string
  /** Sets it right; nothing where it is right meanwhile. */
  correct(): void | Promise<void>
}

/** What the last consistency check found. */
export const ConsistencyReport = Type.Object({
  checkedAt: Type.Integer({ description: 'Milliseconds since 1970.' }),
  tookMs: Type.Number(),
  found: Type.Array(
    Type.Object({
      kind: Type.Enum(CONSISTENCY_FAULTS),
      id: Type.String(),
      detail: Type.String({ description: 'For people.' }),
      corrected: Type.Boolean({ description: 'Whether it was set right.' }),
    }),
    { description: 'The first hundred that two looks in a row have found.' },
  ),
  skipped: Type.Array(Type.String(), { description: 'What could not be looked at, and why.' }),
  totals: Type.Record(Type.Enum(CONSISTENCY_FAULTS), Type.Integer({ description: 'Since the start.' })),
})
export type ConsistencyReport = Static<typeof ConsistencyReport>
