/** What changed in a store of revocations: by key its text, or `null` where it is gone. */
export type RevocationChanges = ReadonlyMap<string, string | null>

/** Where revocations are kept, for all nodes that share it. */
export interface RevocationStore {
  /** What is kept, as far as this node has read. */
  readonly entries: ReadonlyMap<string, string>
  /** Stores texts, or takes them away where `null`. @throws where it cannot be stored. */
  save(changes: Readonly<Record<string, string | null>>): Promise<void>
  /** Reads what other nodes have changed. @throws where it cannot be read. */
  refresh(): Promise<void>
  /** Tells what other nodes have changed, once it is read, until the answer is called. */
  onChanged(listener: (changes: RevocationChanges) => void): () => void
}

/** The texts that are kept with a log; that is all that is needed of it. */
export interface RevocationLog {
  readonly attributes: ReadonlyMap<string, string>
  append(
    batch: readonly [],
    options: { readonly attributes: Readonly<Record<string, string | null>> },
  ): Promise<unknown>
}

/** Keeps them with a log of this process, which nobody else changes. */
export class LogRevocationStore implements RevocationStore {
  readonly #log: RevocationLog

  constructor(log: RevocationLog) {
    this.#log = log
  }

  get entries(): ReadonlyMap<string, string> {
    return this.#log.attributes
  }

  async save(attributes: Readonly<Record<string, string | null>>): Promise<void> {
    await this.#log.append([], { attributes })
  }

  async refresh(): Promise<void> {}

  onChanged(): () => void {
    return () => undefined
  }
}
