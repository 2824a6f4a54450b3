import Type, { type Static } from 'typebox'
import { ComponentHealth } from './health.ts'
import { Name } from './name.ts'

const NodeStateName = Type.Enum(['serving', 'draining', 'closed'])

/** What a node says of itself when it is asked. */
export const NodeState = Type.Object({
  state: NodeStateName,
  components: Type.Record(Type.String(), ComponentHealth, { description: 'How its parts are.' }),
  load: Type.Record(Type.String(), Type.Number(), { description: 'What it has to do now.' }),
})
export type NodeState = Static<typeof NodeState>

const nodeFields = {
  nodeId: Type.String({ description: 'Of this start of its process.' }),
  service: Type.Enum(['gateway', 'worker']),
  url: Type.Optional(Type.String({ description: 'Where it is reached; not there before it listens.' })),
  startedAt: Type.Number({ description: 'Milliseconds since 1970.' }),
  seenAt: Type.Number({ description: 'When it last renewed its lease.' }),
  isSelf: Type.Boolean({ description: 'Whether it is the one that answers.' }),
  info: Type.Record(Type.String(), Type.Unknown(), { description: 'What it announces of itself.' }),
}

/** A node of the cluster, and how it answered. */
export const NodeView = Type.Union(
  [
    Type.Object({ ...nodeFields, ...NodeState.properties }),
    Type.Object({
      ...nodeFields,
      state: Type.Enum(['unreachable', 'failed']),
      reason: Type.String({ description: 'Why nothing more is known of it.' }),
    }),
  ],
  { title: 'Node' },
)
export type NodeView = Static<typeof NodeView>

export const NodeList = Type.Object({
  nodeId: Type.String({ description: 'The one that answers.' }),
  nodes: Type.Array(NodeView, { description: 'Those whose lease runs, the oldest first.' }),
  unreachable: Type.Array(Type.String(), { description: 'Those that did not answer.' }),
})
export type NodeList = Static<typeof NodeList>

export const NodeParams = Type.Object({ nodeId: Name })

export const NodeDrainAnswer = Type.Object({
  success: Type.Literal(true),
  nodeId: Type.String(),
  state: NodeStateName,
  limitMs: Type.Integer({ description: 'How long it may take until its process ends.' }),
})
export type NodeDrainAnswer = Static<typeof NodeDrainAnswer>
