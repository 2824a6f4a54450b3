import type { ConsistencyFault } from '@tributary/protocol'
import type { LocalUserQuota } from '../local-user-quota.ts'
import type { SharedHold, SharedHolds } from './shared-holds.ts'

/** Users that are asked for at a time. */
const BATCH = 100

export interface QuotaFaultsOptions {
  readonly name: string
  readonly nodeId: string
  readonly here: LocalUserQuota
  readonly shared: SharedHolds
  readonly living: ReadonlySet<string>
  readonly sayAgain: (userId: string) => void
}

/** Where Redis says otherwise of what this node holds, or has something of nodes that are gone. */
export async function quotaFaults(options: QuotaFaultsOptions): Promise<ConsistencyFault[]> {
  const { shared, nodeId, here } = options
  const users = new Set(await shared.usersOf(nodeId))
  for (const { userId } of here.held()) users.add(userId)
  const faults: ConsistencyFault[] = []
  const all = [...users]
  for (let from = 0; from < all.length; from += BATCH) {
    const batch = all.slice(from, from + BATCH)
    const ofEach = await Promise.all(batch.map(async (userId) => faultsOfUser(userId, options)))
    faults.push(...ofEach.flat())
  }
  return faults
}

async function faultsOfUser(userId: string, options: QuotaFaultsOptions): Promise<ConsistencyFault[]> {
  const { name, here, shared, sayAgain } = options
  const known = await shared.of(userId)
  const ghosts = known.flatMap((hold) => ghostOf(userId, hold, options) ?? [])
  const ids = new Set(known.map(({ id }) => id))
  const missing = here
    .heldBy(userId)
    .filter(({ id }) => !ids.has(id))
    .map(({ id }): ConsistencyFault => {
      const detail = `the cluster does not know that this node holds it (${name})`
      return {
        kind: 'missing_in_cluster',
        id: `${name} ${userId} ${id}`,
        detail,
        correct: () => sayAgain(userId),
      }
    })
  return [...ghosts, ...missing]
}

function ghostOf(
  userId: string,
  { id, nodeId: owner }: SharedHold,
  { name, nodeId, here, shared, living }: QuotaFaultsOptions,
): ConsistencyFault | undefined {
  const isOurs = owner === nodeId
  if (isOurs ? here.has(userId, id) : living.has(owner)) return undefined
  const detail = isOurs
    ? `the cluster says that this node holds it, and it does not (${name})`
    : `the cluster says that a node holds it which is gone (${name})`
  const correct = () => shared.release(owner, userId, id)
  return { kind: 'ghost_in_cluster', id: `${name} ${userId} ${id}`, detail, correct }
}
