import type { Clock } from '@tributary/protocol'
import { defineScript, type RedisConnections } from '@tributary/redis'
import Type from 'typebox'
import type { RevocationChanges, RevocationStore } from '../auth/tokens/revocation-store.ts'
import { ServiceKeys } from './redis-keys.ts'

const MERGE = defineScript({
  name: 'merge-revocations',
  file: new URL('./merge-revocations.lua', import.meta.url),
  answer: Type.Array(Type.Union([Type.Integer(), Type.String()]), { minItems: 1 }),
})

/** How often is read what others have changed, and said again what could not be said, in ms. */
const REFRESH_MS = 5_000
/** Changes that are read, and said, at a time. */
const BATCH = 500

export interface RedisRevocationStoreOptions {
  readonly redis: RedisConnections
  /** `REDIS_PREFIX` */
  readonly prefix: string
  readonly clock: Clock
  /** How long something is kept, in seconds; what was taken back too, so that nobody says it again. */
  readonly keptS: number
}

/** What was said last of a key; without a text it was taken back. */
interface Mark {
  readonly at: number
  readonly text: string
}

/** A change as it was numbered. */
type Place = readonly [number: number, key: string]
const BEGINNING: Place = [0, '']

/**
 * Shares what is revoked with all nodes. Each knows all of it: what is said while Redis is away is said again when it is
 * back, and what a Redis has lost is said again by who knows it, unless it was taken back since.
 */
export class RedisRevocationStore implements RevocationStore, Disposable {
  readonly #redis: RedisConnections
  readonly #keys: string[]
  readonly #clock: Clock
  readonly #keptMs: number
  readonly #marks = new Map<string, Mark>()
  readonly #unsaid = new Set<string>()
  readonly #listeners = new Set<(changes: RevocationChanges) => void>()
  readonly #ends: (() => void)[]
  #read: Place = BEGINNING
  // One at a time: each goes on from where the one before has read.
  #merging: Promise<void> = Promise.resolve()

  private constructor({ redis, prefix, clock, keptS }: RedisRevocationStoreOptions) {
    this.#redis = redis
    this.#keys = new ServiceKeys(prefix).revocations
    this.#clock = clock
    this.#keptMs = keptS * 1_000
    const refresh = () => void this.refresh().catch(() => undefined)
    const refreshAll = () => {
      this.#sayAll()
      refresh()
    }
    this.#ends = [redis.onUp(refreshAll), clock.every(REFRESH_MS, refresh)]
  }

  /** Reads all that there is. @throws where Redis is away. */
  static async open(options: RedisRevocationStoreOptions): Promise<RedisRevocationStore> {
    const store = new RedisRevocationStore(options)
    try {
      await store.refresh()
    } catch (error) {
      store[Symbol.dispose]()
      throw error
    }
    return store
  }

  get entries(): ReadonlyMap<string, string> {
    const entries = new Map<string, string>()
    for (const [key, { text }] of this.#marks) if (text !== '') entries.set(key, text)
    return entries
  }

  async save(changes: Readonly<Record<string, string | null>>): Promise<void> {
    const now = this.#clock.now()
    for (const [key, text] of Object.entries(changes)) {
      const known = this.#marks.get(key)
      // Its time is over: it goes by itself, here and there.
      if (text === null && known !== undefined && known.at + this.#keptMs <= now) this.#marks.delete(key)
      else {
        this.#marks.set(key, { at: Math.max(now, (known?.at ?? 0) + 1), text: text ?? '' })
        this.#unsaid.add(key)
      }
    }
    await this.refresh()
  }

  refresh(): Promise<void> {
    const merged = this.#merging.then(() => this.#merge())
    this.#merging = merged.catch(() => undefined)
    return merged
  }

  onChanged(listener: (changes: RevocationChanges) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  [Symbol.dispose](): void {
    for (const end of this.#ends) end()
    this.#listeners.clear()
  }

  #sayAll(): void {
    this.#read = BEGINNING
    for (const key of this.#marks.keys()) this.#unsaid.add(key)
  }

  /** Says what is not yet said, and reads what others said, until there is no more of either. */
  async #merge(): Promise<void> {
    this.#forget()
    for (;;) {
      const keys = [...this.#unsaid].slice(0, BATCH)
      const said = keys.flatMap((key) => this.#saying(key))
      const [number, key] = this.#read
      const args = [
        number,
        key,
        this.#keptMs,
        BATCH,
        ...said.flatMap(([name, { at, text }]) => [name, at, text]),
      ]
      const [isLost, ...changes] = await this.#redis.run(MERGE, this.#keys, args)
      for (const [name, mark] of said) if (this.#marks.get(name) === mark) this.#unsaid.delete(name)
      if (isLost === 1) this.#sayAll()
      else this.#take(changes)
      if (isLost === 0 && changes.length < 3 * BATCH && this.#unsaid.size === 0) return
    }
  }

  #saying(key: string): [string, Mark][] {
    const mark = this.#marks.get(key)
    if (mark === undefined) this.#unsaid.delete(key)
    return mark === undefined ? [] : [[key, mark]]
  }

  /** Takes over what is later than what is known here, and tells what was not. */
  #take(changes: readonly (number | string)[]): void {
    const told = new Map<string, string | null>()
    for (let from = 0; from + 2 < changes.length; from += 3) {
      const [number, key, value] = [
        Number(changes[from]),
        String(changes[from + 1]),
        String(changes[from + 2]),
      ]
      this.#read = [number, key]
      const space = value.indexOf(' ')
      const mark: Mark = { at: Number(value.slice(0, space)), text: value.slice(space + 1) }
      const known = this.#marks.get(key)
      if (known !== undefined && known.at >= mark.at) continue
      this.#marks.set(key, mark)
      if ((known?.text ?? '') !== mark.text) told.set(key, mark.text === '' ? null : mark.text)
    }
    if (told.size > 0) for (const listener of this.#listeners) listener(told)
  }

  #forget(): void {
    const before = this.#clock.now() - this.#keptMs
    for (const [key, { at }] of this.#marks) if (at <= before) this.#marks.delete(key)
  }
}
