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

export const takeRunScript = defineScript({
  name: 'runsOwn',
  file: new URL('./take-run.lua', import.meta.url),
  answer: Type.Integer({ minimum: 0 }),
})

export const renewRunsScript = defineScript({
  name: 'runsRenewOwned',
  file: new URL('./renew-runs.lua', import.meta.url),
  answer: Type.Array(Type.String()),
})

export const releaseRunScript = defineScript({
  name: 'runsRelease',
  file: new URL('./release-run.lua', import.meta.url),
  answer: Type.Integer(),
})

export const unreachableRunsScript = defineScript({
  name: 'runsUnreachable',
  file: new URL('./unreachable-runs.lua', import.meta.url),
  answer: Type.Array(Type.String()),
})
