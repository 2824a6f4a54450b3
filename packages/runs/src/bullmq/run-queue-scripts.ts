import { scriptFamily } from '@tributary/redis'
import Type from 'typebox'

const script = scriptFamily({ name: 'run-queue', folder: import.meta.url })

export const TAKE_TURN = script('take-turn', Type.Integer({ minimum: 1 }))
export const LEAVE_TURN = script('leave-turn', Type.Integer())
export const TAKE_RUN = script('take-run', Type.Integer({ minimum: 0 }))
export const RENEW_RUNS = script('renew-runs', Type.Array(Type.String()))
export const RELEASE_RUN = script('release-run', Type.Integer())
export const LATE_RUNS = script('late-runs', Type.Array(Type.String()))
export const UNREACHABLE_RUNS = script('unreachable-runs', Type.Array(Type.String()))
