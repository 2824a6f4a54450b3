import type { Position } from '@tributary/protocol'
import { RedisReplyError } from '@tributary/redis'
import Type, { type Static } from 'typebox'

/** What every script of a log answers: texts and whole numbers, one after the other. */
export const ScriptAnswer = Type.Array(Type.Union([Type.String(), Type.Integer()]))
export type ScriptAnswer = Static<typeof ScriptAnswer>

const PLACE = /^(\d{1,16})-(\d{1,16})$/

/** Reads an answer from its beginning. */
export class AnswerReader {
  readonly #values: ScriptAnswer
  #next = 0

  constructor(values: ScriptAnswer) {
    this.#values = values
  }

  get isAtEnd(): boolean {
    return this.#next >= this.#values.length
  }

  text(): string {
    const value = this.#values[this.#next]
    this.#next += 1
    if (value === undefined) throw new RedisReplyError('a script answered less than it says')
    return String(value)
  }

  number(): number {
    const text = this.text()
    const number = Number(text)
    if (text !== '' && Number.isSafeInteger(number)) return number
    throw new RedisReplyError(`a script answered ${JSON.stringify(text)} where it says a number`)
  }

  flag(): boolean {
    return this.text() === '1'
  }

  /** A number and its time, as two values. */
  position(): Position {
    const n = this.number()
    return { ms: this.number(), n }
  }

  /** A place of a stream; `undefined` where there is none. */
  place(): Position | undefined {
    const text = this.text()
    return text === '' ? undefined : placeOf(text)
  }
}

/** The position of an entry by its id in a stream. */
export function placeOf(id: string): Position {
  const match = PLACE.exec(id)
  if (match === null) throw new RedisReplyError(`${JSON.stringify(id)} is no place in a log`)
  return { ms: Number(match[2]), n: Number(match[1]) }
}
