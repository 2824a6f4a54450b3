import { defineScript } from '@tributary/redis'
import Type from 'typebox'

const Done = Type.Integer()

export const claimScript = defineScript({
  name: 'runsClaim',
  file: new URL('./claim.lua', import.meta.url),
  answer: Type.Tuple([Type.Enum(['ours', 'theirs', 'conflict']), Type.String(), Type.Integer()]),
})

export const renewClaimsScript = defineScript({
  name: 'runsRenewClaims',
  file: new URL('./renew-claims.lua', import.meta.url),
  answer: Done,
})

export const addScript = defineScript({
  name: 'runsAdd',
  file: new URL('./add.lua', import.meta.url),
  answer: Done,
})

export const abandonScript = defineScript({
  name: 'runsAbandon',
  file: new URL('./abandon.lua', import.meta.url),
  answer: Done,
})

export const endScript = defineScript({
  name: 'runsEnd',
  file: new URL('./end.lua', import.meta.url),
  answer: Done,
})

export const restoreScript = defineScript({
  name: 'runsRestore',
  file: new URL('./restore.lua', import.meta.url),
  answer: Done,
})

export const forgetScript = defineScript({
  name: 'runsForget',
  file: new URL('./forget.lua', import.meta.url),
  answer: Type.Array(Type.String()),
})
