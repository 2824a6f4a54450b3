import { defineScript } from '@tributary/redis'
import Type from 'typebox'

const Count = Type.Integer()
const Texts = Type.Array(Type.String())

export const heartbeatScript = defineScript({
  name: 'clusterHeartbeat',
  file: new URL('./heartbeat.lua', import.meta.url),
  answer: Type.Tuple([Type.Enum(['there', 'clearing']), Count, Count, Count, Texts, Texts]),
})

export const settleScript = defineScript({
  name: 'clusterSettle',
  file: new URL('./settle.lua', import.meta.url),
  answer: Count,
})

export const leaveScript = defineScript({
  name: 'clusterLeave',
  file: new URL('./leave.lua', import.meta.url),
  answer: Count,
})

export const nodesScript = defineScript({
  name: 'clusterNodes',
  file: new URL('./nodes.lua', import.meta.url),
  answer: Texts,
})
