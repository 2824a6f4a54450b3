import { scriptFamily } from '@tributary/redis'
import Type from 'typebox'

const Texts = Type.Array(Type.String())

const script = scriptFamily({ name: 'who', folder: import.meta.url, shared: './shared.lua' })

/** The scripts of a registry. What each is asked and answers stands at its top; what all do, in `shared.lua`. */
export const REGISTRY_SCRIPTS = {
  register: script(
    'register',
    Type.Tuple([Type.Enum(['ok', 'exists', 'user_limit', 'total_limit']), Texts, Texts]),
  ),
  restore: script('restore', Texts),
  move: script('move', Texts),
  remove: script('remove', Type.Integer()),
  find: script('find', Texts),
  members: script('members', Type.Tuple([Type.Integer(), Texts])),
  userSince: script('user-since', Type.Union([Type.String(), Type.Null()])),
  watch: script('watch', Type.Integer()),
  due: script('due', Type.Tuple([Texts, Type.String()])),
  acknowledge: script('acknowledge', Texts),
}
