import { scriptFamily } from '@tributary/redis'
import Type from 'typebox'

const Count = Type.Integer()
const Texts = Type.Array(Type.String())

const script = scriptFamily({ name: 'cluster', folder: import.meta.url })

export const HEARTBEAT = script(
  'heartbeat',
  Type.Tuple([Type.Enum(['there', 'clearing']), Count, Count, Count, Texts, Texts]),
)
export const SETTLE = script('settle', Count)
export const LEAVE = script('leave', Count)
export const NODES = script('nodes', Texts)
