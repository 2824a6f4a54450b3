import { defineScript } from '@tributary/redis'
import Type from 'typebox'

/** Takes one more hold where the user may; see the legend of the script. */
export const TAKE_HOLD = defineScript({
  name: 'take-hold',
  file: new URL('./take-hold.lua', import.meta.url),
  answer: Type.Array(Type.String(), { minItems: 1 }),
})

/** Sets or lets go what a node holds of a user; see the legend of the script. */
export const SET_HOLDS = defineScript({
  name: 'set-holds',
  file: new URL('./set-holds.lua', import.meta.url),
  answer: Type.Integer({ minimum: 0 }),
})
