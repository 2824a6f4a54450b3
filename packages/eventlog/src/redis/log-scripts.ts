import { type RedisScript, scriptFamily } from '@tributary/redis'
import Type from 'typebox'
import { ScriptAnswer } from './script-answer.ts'

/** What has become of a log that was not there. */
const Whereabouts = Type.Enum(['there', 'gone', 'missing'])
export type Whereabouts = Type.Static<typeof Whereabouts>

const script = scriptFamily({ name: 'log', folder: import.meta.url, shared: './log.lua' })

export const APPEND: RedisScript<ScriptAnswer> = script('append', ScriptAnswer)
export const READ: RedisScript<ScriptAnswer> = script('read', ScriptAnswer)
export const LOCATE: RedisScript<ScriptAnswer> = script('locate', ScriptAnswer)
export const SYNC: RedisScript<ScriptAnswer> = script('sync', ScriptAnswer)
export const FIND: RedisScript<ScriptAnswer> = script('find', ScriptAnswer)
export const OPEN: RedisScript<ScriptAnswer> = script('open', ScriptAnswer)
export const MAKE_AGAIN: RedisScript<Whereabouts> = script('make-again', Whereabouts)
export const TRIM: RedisScript<number> = script('trim', Type.Integer())
export const DROP: RedisScript<number> = script('drop', Type.Integer())
