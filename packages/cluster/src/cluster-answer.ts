import type { ClusterAnswer } from './cluster.ts'

/** Of a node that has not answered in time. */
export function unanswered(nodeId: string, timeoutMs: number): ClusterAnswer {
  return unreachable(nodeId, `it did not answer within ${timeoutMs} ms`)
}

/** Of a node that was not asked, or of which it is not known. @param why for people, or what was thrown. */
export function unreachable(nodeId: string, why: unknown): ClusterAnswer {
  return { nodeId, ok: false, reason: 'unreachable', message: messageOf(why) }
}

/** Of a node that says that it was not done. */
export function failed(nodeId: string, why: unknown): ClusterAnswer {
  return { nodeId, ok: false, reason: 'failed', message: messageOf(why) }
}

function messageOf(why: unknown): string {
  return why instanceof Error ? why.message : String(why)
}
