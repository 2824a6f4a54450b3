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
 * Decides which task is next. A task starts only when its run, its origin and the process all have a slot,
 * and takes the three in one step: so what waits for a slow origin holds no slot of another, and a task
 * between two attempts holds none. Runs take turns, and within a run its origins do.
 */
export class TaskScheduler {
  readonly #perOrigin: number
  readonly #total: LimitFunction
  readonly #origins = new Map<string, LimitFunction>()
  readonly #lanes: Lane[] = []
  #turn = 0

  constructor({ perOrigin, total }: TaskSchedulerOptions) {
    this.#perOrigin = perOrigin
    this.#total = pLimit(total)
  }

  /** Attempts that go on now. */
  get activeCount(): number {
    return this.#total.activeCount
  }

  /** Origins that attempts go on against. */
  get originCount(): number {
    return this.#origins.size
  }

  get laneCount(): number {
    return this.#lanes.length
  }

  /** Opens a run's lane, with its own limit. Its owner closes it. */
  openLane(concurrency: number): TaskLane {
    const lane = new Lane(pLimit(concurrency))
    this.#lanes.push(lane)
    return {
      schedule: (origin, attempt) => {
        lane.add(origin, attempt)
        this.#startWhatCan()
      },
      close: () => {
        lane.clear()
        const index = this.#lanes.indexOf(lane)
        if (index >= 0) this.#lanes.splice(index, 1)
      },
    }
  }

  /** Gives each lane a start in turn, until a whole round has started nothing. */
  #startWhatCan(): void {
    for (let refused = 0; refused < this.#lanes.length && hasRoom(this.#total); ) {
      this.#turn = (this.#turn + 1) % this.#lanes.length
      const lane = this.#lanes[this.#turn]
      if (lane !== undefined && this.#startOne(lane)) refused = 0
      else refused += 1
    }
  }

  #startOne(lane: Lane): boolean {
    if (!hasRoom(lane.limit)) return false
    const next = lane.take((origin) => {
      const limit = this.#origins.get(origin)
      return limit === undefined || hasRoom(limit)
    })
    if (next === undefined) return false
    const origin = this.#originLimit(next.origin)
    const held = Promise.withResolvers<void>()
    // p-limit counts a call at once where there is room, so the three slots are taken in this very turn.
    const slots = [lane.limit, origin, this.#total].map((limit) => limit(() => held.promise))
    next.attempt().then(held.resolve, held.resolve)
    void Promise.all(slots).then(() => {
      if (origin.activeCount === 0) this.#origins.delete(next.origin)
      this.#startWhatCan()
    })
    return true
  }

  #originLimit(origin: string): LimitFunction {
    let limit = this.#origins.get(origin)
    if (limit === undefined) {
      limit = pLimit(this.#perOrigin)
      this.#origins.set(origin, limit)
    }
    return limit
  }
}

/** A run's place in the turn. */
export interface TaskLane {
  /** Starts the attempt as soon as there are slots for it. */
  schedule(origin: string, attempt: Attempt): void
  /** Drops what has not started. */
  close(): void
}

const hasRoom = (limit: LimitFunction) => limit.activeCount < limit.concurrency

/** What waits of one run, by origin. */
class Lane {
  readonly limit: LimitFunction
  readonly #queues = new Map<string, Attempt[]>()

  constructor(limit: LimitFunction) {
    this.limit = limit
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
