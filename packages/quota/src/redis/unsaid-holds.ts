import { type LocalUserQuota, weightOf } from '../local-user-quota.ts'
import type { Hold } from '../user-quota.ts'
import type { SharedHolds } from './shared-holds.ts'

/** Tells Redis what this node holds, and keeps in mind what it could not tell until it can. */
export class UnsaidHolds {
  readonly #shared: SharedHolds
  readonly #here: LocalUserQuota
  readonly #nodeId: string
  /** Of whom Redis knows that this node holds something. */
  readonly #users = new Set<string>()
  /** Those whose holds Redis may know otherwise. */
  readonly #unsaid = new Set<string>()
  /** What this node goes on with, and Redis may think is still another's. */
  readonly #taking = new Set<Hold>()
  /** What each weighs as it was told last, by user and id. */
  readonly #told = new Map<string, number>()
  /** How many of a user are being asked for: what is told meanwhile would not have them. */
  readonly #asked = new Map<string, number>()
  #saying: Promise<void> | undefined

  constructor(shared: SharedHolds, here: LocalUserQuota, nodeId: string) {
    this.#shared = shared
    this.#here = here
    this.#nodeId = nodeId
  }

  /** To be called before something is asked for. It must be found also where this node ends the moment after. */
  asking({ userId }: Hold): void {
    this.#asked.set(userId, (this.#asked.get(userId) ?? 0) + 1)
    this.#addUser(userId)
  }

  /** To be called when that is answered, and what was taken is held. */
  asked(hold: Hold): void {
    const left = (this.#asked.get(hold.userId) ?? 0) - 1
    if (left > 0) this.#asked.set(hold.userId, left)
    else this.#asked.delete(hold.userId)
    if (this.#here.has(hold.userId, hold.id)) this.#told.set(nameOf(hold), weightOf(hold))
  }

  /** It is held from now on, whoever else did. */
  held(hold: Hold): void {
    this.#addUser(hold.userId)
    this.#told.set(nameOf(hold), weightOf(hold))
    this.#shared.take(this.#nodeId, hold).catch(() => this.#taking.add(hold))
  }

  /** It is no longer held. */
  released(userId: string, id: string): void {
    this.#told.delete(nameOf({ userId, id }))
    this.#shared.release(this.#nodeId, userId, id).catch(() => this.#unsaid.add(userId))
  }

  /** Has all of a user's told again. */
  sayAgain(userId: string): void {
    this.#unsaid.add(userId)
  }

  /** Tells all anew: others may have taken this node for gone, or Redis has lost it. */
  async sayAll(): Promise<void> {
    this.#users.clear()
    for (const userId of await this.#shared.usersOf(this.#nodeId)) this.#unsaid.add(userId)
    for (const { userId } of this.#here.held()) this.#unsaid.add(userId)
    await this.say()
  }

  /** Tells what is not yet told, as far as that can be; the rest stays for the next time. Calls that overlap share one. */
  say(): Promise<void> {
    this.#saying ??= this.#say().finally(() => {
      this.#saying = undefined
    })
    return this.#saying
  }

  #addUser(userId: string): void {
    if (this.#users.has(userId)) return
    this.#users.add(userId)
    this.#shared.addUser(this.#nodeId, userId).catch(() => {
      this.#users.delete(userId)
      this.#unsaid.add(userId)
    })
  }

  async #say(): Promise<void> {
    this.#noteWeights()
    try {
      for (const hold of this.#taking) await this.#sayTaken(hold)
      for (const userId of this.#unsaid) await this.#sayUser(userId)
    } catch {
      // Redis is away; it is told when it is back.
    }
  }

  async #sayTaken(hold: Hold): Promise<void> {
    if (this.#here.has(hold.userId, hold.id)) await this.#shared.take(this.#nodeId, hold)
    this.#taking.delete(hold)
  }

  async #sayUser(userId: string): Promise<void> {
    if (this.#asked.has(userId)) return
    // First: what is held from here on may not be in what is told.
    this.#unsaid.delete(userId)
    try {
      const holds = this.#here.heldBy(userId)
      if (holds.length > 0 && !this.#users.has(userId)) {
        await this.#shared.addUser(this.#nodeId, userId)
        this.#users.add(userId)
      }
      await this.#shared.setAll(this.#nodeId, userId, holds)
    } catch (error) {
      this.#unsaid.add(userId)
      throw error
    }
  }

  #noteWeights(): void {
    if (this.#here.limits.maxWeight === 0) return
    for (const hold of this.#here.held()) {
      const weight = weightOf(hold)
      if (this.#told.get(nameOf(hold)) === weight) continue
      this.#told.set(nameOf(hold), weight)
      this.#unsaid.add(hold.userId)
    }
  }
}

function nameOf({ userId, id }: Pick<Hold, 'userId' | 'id'>): string {
  return `${id}\n${userId}`
}
