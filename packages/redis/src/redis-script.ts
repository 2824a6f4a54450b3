import { readFileSync } from 'node:fs'
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { RedisReplyError } from './redis-error.ts'

/** A Lua script whose answer is of a known shape. */
export interface RedisScript<T> {
  readonly name: string
  readonly lua: string
  /** @throws RedisReplyError where the script answered something else. */
  parse(answer: unknown): T
}

export interface RedisScriptInit<T extends TSchema> {
  /** One of its own among all scripts of a process. */
  readonly name: string
  /** `new URL('./append.lua', import.meta.url)` */
  readonly file: URL
  /** What it answers: text, whole numbers, null, and lists of them. */
  readonly answer: T
}

/**
 * A script that stands in a file of its own, with a legend at its top. It is read at once.
 *
 * @throws Error where the file cannot be read.
 */
export function defineScript<T extends TSchema>(init: RedisScriptInit<T>): RedisScript<Static<T>> {
  const validator = Compile(init.answer)
  return {
    name: init.name,
    lua: readFileSync(init.file, 'utf8'),
    parse(answer) {
      if (validator.Check(answer)) return answer
      const [fault] = validator.Errors(answer)
      throw new RedisReplyError(
        `the script ${init.name} answered ${JSON.stringify(answer)?.slice(0, 200)}: ${fault?.instancePath ?? ''} ${fault?.message ?? ''}`,
      )
    },
  }
}
