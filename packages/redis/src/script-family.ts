import { readFileSync } from 'node:fs'
import type { Static, TSchema } from 'typebox'
import { defineScript, type RedisScript } from './redis-script.ts'

export interface ScriptFamilyInit {
  /** What the names of its scripts begin with: of its own among all families of a process. */
  readonly name: string
  /** The folder that the scripts are in, as the `import.meta.url` of a file there. */
  readonly folder: string
  /** The file of what several of them do, which is put in front of each. Default: none. */
  readonly shared?: string
}

/**
 * Defines the scripts of a folder, each by the name of its file without `.lua`, and by what it answers. A file is read at
 * once.
 *
 * @throws Error where a file cannot be read.
 */
export function scriptFamily({ name: family, folder, shared }: ScriptFamilyInit) {
  const before = shared === undefined ? '' : `${readFileSync(new URL(shared, folder), 'utf8')}\n`
  return <T extends TSchema>(name: string, answer: T): RedisScript<Static<T>> => {
    const file = new URL(`./${name}.lua`, folder)
    const { lua, ...own } = defineScript({ name: `${family}-${name}`, file, answer })
    return { ...own, lua: before + lua }
  }
}
