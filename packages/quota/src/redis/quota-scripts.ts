import { scriptFamily } from '@tributary/redis'
import Type from 'typebox'

const script = scriptFamily({ name: 'quota', folder: import.meta.url })

/** Takes one more hold where the user may. */
export const TAKE_HOLD = script('take-hold', Type.Array(Type.String(), { minItems: 1 }))
/** Sets or lets go what a node holds of a user. */
export const SET_HOLDS = script('set-holds', Type.Integer({ minimum: 0 }))
