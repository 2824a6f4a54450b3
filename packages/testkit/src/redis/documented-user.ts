import { readFileSync } from 'node:fs'

const DOCS = new URL('../../../../docs/redis.md', import.meta.url)

/** The line of a configuration that makes the user of docs/redis.md, whose password is `secret`. */
export function documentedUser(): string {
  const line = readFileSync(DOCS, 'utf8')
    .split('\n')
    .find((one) => one.startsWith('ACL SETUSER tributary '))
  if (line === undefined) throw new Error('docs/redis.md makes no user')
  return line.replace('ACL SETUSER', 'user')
}
