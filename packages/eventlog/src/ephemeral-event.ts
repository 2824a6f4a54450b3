import type { Audience, NewEvent } from '@tributary/protocol'
import { type EntryDraft, entryDraft } from './entry-draft.ts'

/** An event that is in no log: for who is there now. */
export interface EphemeralEvent extends EntryDraft {
  /** Milliseconds since 1970. */
  readonly timestamp: number
}

/** An event to tell, which is in no log. */
export interface Telling {
  readonly event: NewEvent
  readonly audience: Audience
  /** Milliseconds since 1970. */
  readonly timestamp: number
}

/** What came of telling one. */
export interface Told {
  /** The same as its listeners here were given. */
  readonly event: EphemeralEvent
  /** Whether it was told to other processes, too; false where they could not be reached. */
  readonly isEverywhere: boolean
}

/** @throws as `entryDraft` */
function ephemeralEvent({ event, audience, timestamp }: Telling): EphemeralEvent {
  return { ...entryDraft(event, audience), timestamp }
}

/** Those who hear of ephemeral events. A listener must not throw. */
export class EphemeralListeners {
  readonly #listeners = new Set<(event: EphemeralEvent) => void>()

  /** The answer removes it, and may be called twice. */
  add(listener: (event: EphemeralEvent) => void): () => void {
    // A function of its own, so that the same listener added twice is told twice and removed once.
    const added = (event: EphemeralEvent) => listener(event)
    this.#listeners.add(added)
    return () => void this.#listeners.delete(added)
  }

  tell(event: EphemeralEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }

  /** Of a log that one process has for itself: there is nobody else to tell. */
  async tellAll(telling: Telling): Promise<Told> {
    const event = ephemeralEvent(telling)
    this.tell(event)
    return { event, isEverywhere: true }
  }
}
