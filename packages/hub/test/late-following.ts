import type { EventLog, EventStore, Following, OpenOptions } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import type { Clock, Topic } from '@tributary/protocol'

interface Asked {
  readonly topics: readonly Topic[]
  readonly settled: PromiseWithResolvers<void>
}

/** A log in memory that hears of a topic only once it is followed, which takes as long as a test wants. */
export class LateFollowing {
  readonly followed = new Map<Topic, number>()
  readonly asked: Asked[] = []
  readonly #rewinds = new Set<() => void>()
  /** Whether what is asked to be followed is so at once. */
  atOnce = true

  /** A store whose one log follows late. */
  store(clock: Clock): EventStore {
    const memory = new MemoryEventStore({ clock })
    return new Proxy(memory, {
      get: (target, key) => {
        if (key === 'open') return (name: string, options: OpenOptions) => this.#open(target, name, options)
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  /** Lets all that was asked for be followed, or fail. */
  settle(error?: Error): void {
    for (const { topics, settled } of this.asked.splice(0)) {
      if (error === undefined) this.#note(topics, 1)
      if (error === undefined) settled.resolve()
      else settled.reject(error)
    }
  }

  rewind(): void {
    for (const listener of this.#rewinds) listener()
  }

  async #open(store: EventStore, name: string, options: OpenOptions): Promise<EventLog> {
    const log = await store.open(name, options)
    return new Proxy(log, {
      get: (target, key) => {
        if (key === 'follow') return (topics: readonly Topic[]) => this.#follow(topics)
        if (key === 'onRewind') return (listener: () => void) => this.#onRewind(listener)
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  #follow(topics: readonly Topic[]): Following {
    let ended = false
    const end = () => {
      if (!ended) this.#note(topics, -1)
      ended = true
    }
    if (this.atOnce) {
      this.#note(topics, 1)
      return { ready: undefined, end }
    }
    const settled = Promise.withResolvers<void>()
    this.asked.push({ topics, settled })
    let failed = false
    settled.promise.catch(() => {
      failed = true
    })
    return { ready: settled.promise, end: () => void (failed || end()) }
  }

  #onRewind(listener: () => void): () => void {
    this.#rewinds.add(listener)
    return () => void this.#rewinds.delete(listener)
  }

  #note(topics: readonly Topic[], change: number): void {
    for (const topic of topics) {
      const count = (this.followed.get(topic) ?? 0) + change
      if (count === 0) this.followed.delete(topic)
      else this.followed.set(topic, count)
    }
  }
}
