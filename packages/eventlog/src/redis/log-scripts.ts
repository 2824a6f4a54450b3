import { readFileSync } from 'node:fs'
import { defineScript, type RedisScript } from '@tributary/redis'
import Type, { type TSchema } from 'typebox'
import { ScriptAnswer } from './script-answer.ts'

const SHARED_LUA = readFileSync(new URL('./log.lua', import.meta.url), 'utf8')

/** Behind what all scripts of a log share. */
function script<T extends TSchema>(name: string, answer: T) {
  const file = new URL(`./${name}.lua`, import.meta.url)
  const own = defineScript({ name: `log-${name}`, file, answer })
  return { ...own, lua: SHARED_LUA + own.lua }
}

export const APPEND: RedisScript<ScriptAnswer> = script('append', ScriptAnswer)
export const READ: RedisScript<ScriptAnswer> = script('read', ScriptAnswer)
export const LOCATE: RedisScript<ScriptAnswer> = script('locate', ScriptAnswer)
export const SYNC: RedisScript<ScriptAnswer> = script('sync', ScriptAnswer)
export const FIND: RedisScript<ScriptAnswer> = script('find', ScriptAnswer)
export const OPEN: RedisScript<ScriptAnswer> = script('open', ScriptAnswer)
export const TRIM: RedisScript<number> = script('trim', Type.Integer())
export const DROP: RedisScript<number> = script('drop', Type.Integer())
