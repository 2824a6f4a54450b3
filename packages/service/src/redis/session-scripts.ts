import { scriptFamily } from '@tributary/redis'
import Type from 'typebox'

const script = scriptFamily({ name: 'session', folder: import.meta.url })

export const CLAIM_SESSION = script(
  'claim-session',
  Type.Tuple([Type.Enum(['named', 'kept', 'taken', 'let', 'others']), Type.String()]),
)
export const USE_SESSION = script('use-session', Type.Array(Type.String()))
export const FORGET_SESSION = script('forget-session', Type.Integer())
