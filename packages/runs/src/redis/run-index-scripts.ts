import { scriptFamily } from '@tributary/redis'
import Type from 'typebox'

const script = scriptFamily({ name: 'run-index', folder: import.meta.url })

const Done = Type.Integer()

export const CLAIM = script(
  'claim',
  Type.Tuple([Type.Enum(['ours', 'theirs', 'conflict']), Type.String(), Type.Integer(), Type.String()]),
)
export const RENEW_CLAIMS = script('renew-claims', Done)
export const ADD = script('add', Done)
export const ABANDON = script('abandon', Done)
export const END = script('end', Done)
export const RESTORE = script('restore', Type.Enum(['known', 'claimed', 'gone']))
export const FORGET = script('forget', Type.Array(Type.String()))
