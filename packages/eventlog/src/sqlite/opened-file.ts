import { type BigIntStats, statSync } from 'node:fs'

/** A file that is open, and by whose path another may stand. */
export class OpenedFile {
  readonly #path: string
  readonly #opened: BigIntStats | undefined

  /** To be made when the file is open, by whichever means. */
  constructor(path: string) {
    this.#path = path
    this.#opened = this.#stat()
  }

  /**
   * Whether its path leads elsewhere now, or nowhere. Asked by the path alone: opening the file and closing it again
   * would give up the lock that this process has on it.
   */
  get isGone(): boolean {
    if (this.#opened === undefined) return false
    try {
      const now = this.#stat()
      return now?.ino !== this.#opened.ino || now.dev !== this.#opened.dev
    } catch {
      // A folder that cannot be looked into says nothing of the file.
      return false
    }
  }

  #stat(): BigIntStats | undefined {
    return statSync(this.#path, { bigint: true, throwIfNoEntry: false })
  }
}
