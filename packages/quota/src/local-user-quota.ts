import type { ComponentHealth, ConsistencyFault } from '@tributary/protocol'
import type { Hold, QuotaLimits, TakeAnswer, UserQuota } from './user-quota.ts'

/** Counts what this process holds: it is all there is. */
export class LocalUserQuota implements UserQuota {
  readonly limits: QuotaLimits
  readonly health: ComponentHealth = { status: 'ok' }
  readonly #byUser = new Map<string, Map<string, Hold>>()

  /** @param limits default: none. */
  constructor({ maxHolds = 0, maxWeight = 0 }: Partial<QuotaLimits> = {}) {
    this.limits = { maxHolds, maxWeight }
  }

  /** It is held, or not, when this returns. */
  take(hold: Hold): Promise<TakeAnswer> {
    return Promise.resolve(this.takeNow(hold))
  }

  takeNow(hold: Hold): TakeAnswer {
    const { maxHolds, maxWeight } = this.limits
    const holds = this.#byUser.get(hold.userId)
    const others = [...(holds?.values() ?? [])].filter(({ id }) => id !== hold.id)
    if (maxHolds > 0 && others.length >= maxHolds) return 'too_many'
    if (maxWeight > 0) {
      const weight = [...others, hold].reduce((sum, each) => sum + weightOf(each), 0)
      if (weight > maxWeight) return 'too_heavy'
    }
    this.hold(hold)
    return 'taken'
  }

  hold(hold: Hold): void {
    const holds = this.#byUser.get(hold.userId) ?? new Map<string, Hold>()
    this.#byUser.set(hold.userId, holds.set(hold.id, hold))
  }

  release(userId: string, id: string): void {
    const holds = this.#byUser.get(userId)
    if (holds?.delete(id) && holds.size === 0) this.#byUser.delete(userId)
  }

  *held(): Iterable<Hold> {
    for (const holds of this.#byUser.values()) yield* holds.values()
  }

  has(userId: string, id: string): boolean {
    return this.#byUser.get(userId)?.has(id) === true
  }

  /** Those of one user. */
  heldBy(userId: string): readonly Hold[] {
    return [...(this.#byUser.get(userId)?.values() ?? [])]
  }

  async faults(): Promise<readonly ConsistencyFault[]> {
    return leakedHolds(this)
  }
}

/** Those of a quota that were not let go when what they stand for ended. */
export function leakedHolds(quota: Pick<UserQuota, 'held' | 'release'>): ConsistencyFault[] {
  return [...quota.held()]
    .filter(({ isOver }) => isOver?.() === true)
    .map(({ userId, id }) => ({
      kind: 'leaked_hold',
      id: `${userId} ${id}`,
      detail: `a place of ${JSON.stringify(userId)} is held for what has ended`,
      correct: () => quota.release(userId, id),
    }))
}

export function weightOf({ weight }: Hold): number {
  return Math.max(0, weight())
}
