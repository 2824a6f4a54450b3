import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { ClusterNode } from '../cluster.ts'
import { parsedJson } from './parsed-json.ts'

/** What a node writes of itself with each heartbeat. */
const NodeRecord = Type.Object({
  service: Type.Enum(['gateway', 'worker']),
  url: Type.Optional(Type.String({ maxLength: 2_048 })),
  info: Type.Record(Type.String(), Type.Unknown()),
})
export type NodeRecord = Static<typeof NodeRecord>

/** What the heartbeat's script keeps of it. */
const Entry = Type.Object({ record: Type.String(), startedAt: Type.Number(), seenAt: Type.Number() })

const recordCheck = Compile(NodeRecord)
const entryCheck = Compile(Entry)

/** The nodes in a script's answer: ids and texts, in turn. One that cannot be read, as of a newer version, is left out. */
export function nodesIn(answer: readonly string[]): ClusterNode[] {
  const nodes: ClusterNode[] = []
  for (let i = 0; i < answer.length; i += 2) {
    const node = nodeIn(answer[i] ?? '', answer[i + 1] ?? '')
    if (node !== undefined) nodes.push(node)
  }
  return nodes.sort((a, b) => a.startedAt - b.startedAt || (a.nodeId < b.nodeId ? -1 : 1))
}

function nodeIn(nodeId: string, text: string): ClusterNode | undefined {
  const entry = parsedJson(text)
  if (!entryCheck.Check(entry)) return undefined
  const record = parsedJson(entry.record)
  if (!recordCheck.Check(record)) return undefined
  const { startedAt, seenAt } = entry
  return { nodeId, ...record, startedAt, seenAt }
}
