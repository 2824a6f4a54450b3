import { readFileSync } from 'node:fs'

const DOCS = new URL('../../../docs/redis.md', import.meta.url)

/** The line of docs/redis.md by which that user is made, as a configuration file has it. */
export function aclOf(user: string): string {
  const line = readFileSync(DOCS, 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`ACL SETUSER ${user} `))
  if (line === undefined) throw new Error(`docs/redis.md makes no user ${user}`)
  return line.replace('ACL SETUSER', 'user')
}
