import { readFileSync } from 'node:fs'

const DOCS = new URL('../../../../docs/redis.md', import.meta.url)

/** The line of a configuration that makes a user of docs/redis.md, whose password is `secret`. @param name `watch` is that of Sentinels. */
export function documentedUser(name: 'tributary' | 'watch' = 'tributary'): string {
  const line = readFileSync(DOCS, 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`ACL SETUSER ${name} `))
  if (line === undefined) throw new Error('docs/redis.md makes no user of this name')
  return line.replace('ACL SETUSER', 'user')
}
