/** A map of what was used of late: the newest `size` at least, and twice as many at most. */
export class RecentMap<K, V> {
  readonly #size: number
  #newer = new Map<K, V>()
  #older = new Map<K, V>()

  constructor(size: number) {
    this.#size = size
  }

  get(key: K): V | undefined {
    const newer = this.#newer.get(key)
    if (newer !== undefined) return newer
    const older = this.#older.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  set(key: K, value: V): void {
    this.#newer.set(key, value)
    if (this.#newer.size < this.#size) return
    this.#older = this.#newer
    this.#newer = new Map()
  }

  delete(key: K): void {
    this.#newer.delete(key)
    this.#older.delete(key)
  }

  clear(): void {
    this.#newer.clear()
    this.#older.clear()
  }
}
