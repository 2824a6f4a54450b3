import pLimit, { type LimitFunction } from 'p-limit'

export interface TaskSchedulerOptions {
  /** Tasks at a time against one origin, over all runs. */
  readonly perOrigin: number
  /** Tasks at a time in this process. */
  readonly total: number
}

/** One attempt of a task. Settles when the attempt has ended; what it throws is its own business. */
export type Attempt = () => Promise<void>

/**
 * Decides which task is next. A task starts only when its run, its origin and the process all have room, and
 * takes all three in one step: so what waits for a slow origin holds no place of another, and a task between
 * two attempts holds none. Users take turns, then the runs of a user, and within a run its origins: so the many tasks of
 * one keep no other waiting.
 *
 * A run's limit is p-limit's. Nobody ever waits at an origin or at the process, so those two are counts.
 */
export class TaskScheduler {
  readonly #perOrigin: number
  readonly #total: number
  readonly #activeOf = new Map<string, number>()
  readonly #users = new Turns<UserLanes>()
  #active = 0

  constructor({ perOrigin, total }: TaskSchedulerOptions) {
    this.#perOrigin = perOrigin
    this.#total = total
  }

  /** Attempts that go on now. */
  get activeCount(): number {
    return this.#active
  }

  /** Attempts that wait for a slot. */
  get waitingCount(): number {
    return this.#allLanes().reduce((sum, lane) => sum + lane.size, 0)
  }

  /** Origins that attempts go on against. */
  get originCount(): number {
    return this.#activeOf.size
  }

  get laneCount(): number {
    return this.#allLanes().length
  }

  /** Opens the lane of a run of a user, with its own limit. Its owner closes it. */
  openLane(concurrency: number, userId: string): TaskLane {
    const lane = new Lane(pLimit(concurrency))
    const user =
      this.#users.all.find((known) => known.userId === userId) ??
      this.#users.add({ userId, lanes: new Turns() })
    user.lanes.add(lane)
    return {
      schedule: (origin, attempt) => {
        lane.add(origin, attempt)
        this.#startWhatCan()
      },
      close: () => {
        lane.clear()
        user.lanes.remove(lane)
        if (user.lanes.all.length === 0) this.#users.remove(user)
      },
    }
  }

  #allLanes(): Lane[] {
    return this.#users.all.flatMap(({ lanes }) => lanes.all)
  }

  /** Gives each user a start in turn, until a whole round has started nothing. */
  #startWhatCan(): void {
    let starts = true
    while (starts && this.#active < this.#total) {
      starts = this.#users.next(({ lanes }) => lanes.next((lane) => this.#startOne(lane)))
    }
  }

  #startOne(lane: Lane): boolean {
    if (lane.limit.activeCount >= lane.limit.concurrency) return false
    const next = lane.take(this.#hasRoom)
    if (next === undefined) return false
    const { origin, attempt } = next
    this.#active += 1
    this.#activeOf.set(origin, (this.#activeOf.get(origin) ?? 0) + 1)
    const ended = () => this.#ended(origin)
    // p-limit counts a call at once where there is room, so all three are taken in this very turn.
    const running = attempt()
    lane.limit(() => running).then(ended, ended)
    return true
  }

  #ended(origin: string): void {
    this.#active -= 1
    const active = (this.#activeOf.get(origin) ?? 1) - 1
    if (active === 0) this.#activeOf.delete(origin)
    else this.#activeOf.set(origin, active)
    this.#startWhatCan()
  }

  readonly #hasRoom = (origin: string): boolean => (this.#activeOf.get(origin) ?? 0) < this.#perOrigin
}

/** The runs of a user. */
interface UserLanes {
  readonly userId: string
  readonly lanes: Turns<Lane>
}

/** Those who take turns. */
class Turns<T> {
  readonly all: T[] = []
  #turn = 0

  add(one: T): T {
    this.all.push(one)
    return one
  }

  /** Whose turn is next stays so, whoever goes. */
  remove(one: T): void {
    const index = this.all.indexOf(one)
    if (index < 0) return
    this.all.splice(index, 1)
    if (index <= this.#turn) this.#turn -= 1
  }

  /** Asks one after the other, from the one behind who had the last turn, until one takes his. Answers whether one did. */
  next(takesTurn: (one: T) => boolean): boolean {
    const count = this.all.length
    for (let ahead = 1; ahead <= count; ahead++) {
      const index = (this.#turn + ahead + count) % count
      const one = this.all[index]
      if (one === undefined || !takesTurn(one)) continue
      // Whoever took his turn may have gone with it.
      this.#turn = Math.min(index, this.all.length)
      return true
    }
    return false
  }
}

/** A run's place in the turn. */
export interface TaskLane {
  /** Starts the attempt as soon as there are slots for it. */
  schedule(origin: string, attempt: Attempt): void
  /** Drops what has not started. */
  close(): void
}

/** What waits of one run, by origin. */
class Lane {
  readonly limit: LimitFunction
  readonly #queues = new Map<string, Attempt[]>()

  constructor(limit: LimitFunction) {
    this.limit = limit
  }

  get size(): number {
    return this.#queues.values().reduce((sum, { length }) => sum + length, 0)
  }

  add(origin: string, attempt: Attempt): void {
    const queue = this.#queues.get(origin)
    if (queue === undefined) this.#queues.set(origin, [attempt])
    else queue.push(attempt)
  }

  /** Takes the oldest attempt of the first origin that may start; that origin is then last in turn. */
  take(mayStart: (origin: string) => boolean): { origin: string; attempt: Attempt } | undefined {
    for (const [origin, queue] of this.#queues) {
      if (!mayStart(origin)) continue
      const attempt = queue.shift()
      if (queue.length === 0) this.#queues.delete(origin)
      else if (this.#queues.size > 1) {
        this.#queues.delete(origin)
        this.#queues.set(origin, queue)
      }
      if (attempt !== undefined) return { origin, attempt }
    }
    return undefined
  }

  clear(): void {
    this.#queues.clear()
  }
}
