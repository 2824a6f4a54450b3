import { TaskFailure } from '@tributary/protocol'
import type { Attributes, Run } from '@tributary/runs'
import Type, { type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { Source, SourceProgress } from './source.ts'

/** Longer ids are not kept: no server could be asked for them, because they would not fit into a header. */
const MAX_CURSOR_CHARS = 4_096

/** The worker that a source is read from, and its run there once that is known. */
export const SourcePlace = Type.Object({ worker: Type.String(), runId: Type.Optional(Type.String()) })
export type SourcePlace = Static<typeof SourcePlace>

/** How a source ended: well, or with a failure. */
export const SourceEnd = Type.Object({ failure: Type.Optional(TaskFailure) })
export type SourceEnd = Static<typeof SourceEnd>

/** A source of a run, and what is stored of it. */
export interface RecordedSource {
  readonly source: Source
  readonly record: SourceRecord
}

/**
 * What is stored of a source beside the events of its run, so that after a restart it is resumed where it was: each
 * change goes with the append that it belongs to.
 */
export class SourceRecord implements SourceProgress {
  /** Names the source among all there are: what is begun for it under this key is begun once. */
  readonly key: string
  readonly #run: Run
  readonly #prefix: string
  /** The cursor as the next append finds it; '' where there is none. */
  #at: string | undefined

  /** @param index of the source among those of its run. */
  constructor(run: Run, index: number) {
    this.key = `${run.preparedAs}.${index}`
    this.#run = run
    this.#prefix = `source.${index}`
    this.#at = run.attribute(`${this.#prefix}.at`)
  }

  get place(): SourcePlace | undefined {
    return this.#stored('place', SourcePlace)
  }

  get end(): SourceEnd | undefined {
    return this.#stored('end', SourceEnd)
  }

  get begun(): boolean {
    return this.#run.attribute(`${this.#prefix}.begun`) !== undefined
  }

  get appended(): boolean {
    return this.#at !== undefined
  }

  get cursor(): string | undefined {
    return this.#at === '' ? undefined : this.#at
  }

  notePlace(place: SourcePlace): Promise<void> {
    return this.#run.note({ [`${this.#prefix}.place`]: JSON.stringify(place) })
  }

  noteBegun(): Promise<void> {
    return this.#run.note({ [`${this.#prefix}.begun`]: '1' })
  }

  /** What goes with the append of an event. */
  advance(cursor = ''): Attributes | undefined {
    const at = cursor.length > MAX_CURSOR_CHARS ? '' : cursor
    if (at === this.#at) return undefined
    this.#at = at
    return { [`${this.#prefix}.at`]: at }
  }

  /** What goes with the event that tells its end. */
  ended(end: SourceEnd): Attributes {
    return { [`${this.#prefix}.end`]: JSON.stringify(end) }
  }

  #stored<T extends TSchema>(what: string, schema: T): Static<T> | undefined {
    const text = this.#run.attribute(`${this.#prefix}.${what}`)
    return text === undefined ? undefined : Value.Parse(schema, JSON.parse(text))
  }
}
