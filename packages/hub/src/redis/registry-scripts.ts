import { readFileSync } from 'node:fs'
import { defineScript, type RedisScript } from '@tributary/redis'
import Type, { type Static, type TSchema } from 'typebox'

const SHARED = new URL('./shared.lua', import.meta.url)
const Texts = Type.Array(Type.String())

/** Reads the scripts: each has in front of it what several of them do. @throws Error where a file cannot be read. */
export function registryScripts() {
  const shared = readFileSync(SHARED, 'utf8')
  const script = <T extends TSchema>(name: string, answer: T): RedisScript<Static<T>> => {
    const own = defineScript({ name: `who-${name}`, file: new URL(`./${name}.lua`, import.meta.url), answer })
    return { name: own.name, lua: `${shared}\n${own.lua}`, parse: (value) => own.parse(value) }
  }
  return {
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
}
