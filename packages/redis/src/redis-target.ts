/** Where a server is. */
export interface RedisAddress {
  readonly host: string
  readonly port: number
}

interface Login {
  readonly user?: string
  readonly password?: string
}

interface TargetBase extends Login {
  readonly hasTls: boolean
}

/** What `REDIS_URL` names: one server, a master that Sentinels know, or a Cluster. */
export type RedisTarget =
  | (TargetBase & { readonly kind: 'single'; readonly address: RedisAddress; readonly db: number })
  | (TargetBase & {
      readonly kind: 'sentinel'
      readonly sentinels: readonly RedisAddress[]
      readonly masterName: string
      readonly db: number
      /** Of the Sentinels themselves, which have users of their own. */
      readonly sentinelLogin: Login
    })
  | (TargetBase & { readonly kind: 'cluster'; readonly nodes: readonly RedisAddress[] })

const FORMS =
  'redis://[user:password@]host:port[/db], redis+sentinel://host:port,host:port/<master name>[/db] or ' +
  'redis+cluster://host:port,host:port, with rediss in place of redis for TLS'
const SHAPE = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^/]*)@)?([^/?#@]+)(\/[^?#]*)?(\?[^#]*)?$/
const ADDRESS = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/
const REDIS_PORT = 6_379
const SENTINEL_PORT = 26_379
const MAX_PORT = 65_535

/**
 * Reads a `REDIS_URL`.
 *
 * User and password are percent-decoded. Sentinels with a login of their own take it from `?sentinelUser=` and
 * `?sentinelPassword=`.
 *
 * @throws Error that says what is wrong, without the password.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, s, kind, userInfo, hosts = '', path = '', search = ''] = SHAPE.exec(url.trim()) ?? []
  if (hosts === '') throw new Error(`must be ${FORMS}`)
  // A password that was not encoded: its beginning would be shown as the host.
  if (path.includes('@')) throw new Error('a slash in a user or a password is written as %2F')
  const query = queryOf(search, kind === 'sentinel' ? ['sentinelUser', 'sentinelPassword'] : [])
  const base = { hasTls: s === 's', ...loginOf(userInfo) }
  const segments = path
    .split('/')
    .slice(1)
    .filter((segment) => segment !== '')
  if (kind === 'cluster') {
    if (segments.length > 0) throw new Error('a Cluster has one database: leave out what follows the hosts')
    return { kind, ...base, nodes: addressesOf(hosts, REDIS_PORT) }
  }
  if (kind === 'sentinel') {
    const [masterName, db, ...rest] = segments
    if (masterName === undefined || rest.length > 0) {
      throw new Error(
        'must name the master as the Sentinels have it: redis+sentinel://host:port/<master name>',
      )
    }
    return {
      kind,
      ...base,
      sentinels: addressesOf(hosts, SENTINEL_PORT),
      masterName: decode(masterName),
      db: databaseOf(db),
      sentinelLogin: login(query.get('sentinelUser'), query.get('sentinelPassword')),
    }
  }
  const [address, ...others] = addressesOf(hosts, REDIS_PORT)
  if (address === undefined || others.length > 0 || segments.length > 1) throw new Error(`must be ${FORMS}`)
  return { kind: 'single', ...base, address, db: databaseOf(segments[0]) }
}

/** For people: where it is, without who logs in. */
export function describeTarget(target: RedisTarget): string {
  if (target.kind === 'single') return shown([target.address])
  if (target.kind === 'cluster') return `the Cluster at ${shown(target.nodes)}`
  return `${target.masterName} by the Sentinels at ${shown(target.sentinels)}`
}

/**
 * What the names of keys and channels begin with: for another database than the first with its number, since a server has
 * its channels for all databases together. No `REDIS_PREFIX` may have an `@`.
 */
export function namesIn(target: RedisTarget, prefix: string): string {
  const db = target.kind === 'cluster' ? 0 : target.db
  return db === 0 ? prefix : `${prefix}:@${db}`
}

function shown(addresses: readonly RedisAddress[]): string {
  return addresses.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(', ')
}

function addressesOf(hosts: string, defaultPort: number): RedisAddress[] {
  return hosts.split(',').map((text) => {
    const [, ipv6, name, port = String(defaultPort)] = ADDRESS.exec(text.trim()) ?? []
    const host = ipv6 ?? name
    if (host === undefined || Number(port) < 1 || Number(port) > MAX_PORT) {
      throw new Error(`${JSON.stringify(text)} is not host:port`)
    }
    return { host, port: Number(port) }
  })
}

function databaseOf(text: string | undefined): number {
  if (text === undefined) return 0
  if (!/^\d{1,4}$/.test(text)) throw new Error('the database must be a whole number')
  return Number(text)
}

function loginOf(userInfo: string | undefined): Login {
  if (userInfo === undefined || userInfo === '') return {}
  const colon = userInfo.indexOf(':')
  if (colon === -1) throw new Error('a login is user:password@, or :password@ without a user')
  return login(decode(userInfo.slice(0, colon)), decode(userInfo.slice(colon + 1)))
}

function login(user: string | null, password: string | null): Login {
  return { ...(user ? { user } : {}), ...(password ? { password } : {}) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('a percent sign in a user, a password or a name is written as %25')
  }
}

function queryOf(search: string, known: readonly string[]): URLSearchParams {
  const query = new URLSearchParams(search)
  const unknown = [...query.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`has no parameter ${JSON.stringify(unknown)}`)
  return query
}
