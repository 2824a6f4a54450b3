const USERS = new Map([
  ['secret-of-ann', 'ann'],
  ['secret-of-bob', 'bob'],
])

/** Stands for your app's own login: the user whose session the cookie names. An EventSource sends cookies along. */
export function userOf(cookie: string | null | undefined): string | undefined {
  const session = /(?:^|;\s*)session=([^;]*)/.exec(cookie ?? '')?.[1]
  return session === undefined ? undefined : USERS.get(session)
}
