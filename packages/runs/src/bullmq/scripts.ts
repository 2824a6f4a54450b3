import { defineScript } from '@tributary/redis'
import Type from 'typebox'

export const takeTurnScript = defineScript({
  name: 'runsTakeTurn',
  file: new URL('./take-turn.lua', import.meta.url),
  answer: Type.Integer({ minimum: 1 }),
})

export const leaveTurnScript = defineScript({
  name: 'runsLeaveTurn',
  file: new URL('./leave-turn.lua', import.meta.url),
  answer: Type.Integer(),
})
