import { defineScript } from '@tributary/redis'
import Type from 'typebox'

/** See the legends of the scripts. */
export const CLAIM_SESSION = defineScript({
  name: 'claim-session',
  file: new URL('./claim-session.lua', import.meta.url),
  answer: Type.Tuple([Type.Enum(['named', 'kept', 'taken', 'let', 'others']), Type.String()]),
})

export const USE_SESSION = defineScript({
  name: 'use-session',
  file: new URL('./use-session.lua', import.meta.url),
  answer: Type.Array(Type.String()),
})

export const FORGET_SESSION = defineScript({
  name: 'forget-session',
  file: new URL('./forget-session.lua', import.meta.url),
  answer: Type.Integer(),
})
