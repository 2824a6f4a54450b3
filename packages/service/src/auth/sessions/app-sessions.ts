import { Name } from '@tributary/protocol'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { isReservedUser, type Principal } from '../principal.ts'
import { PublishPattern } from '../tokens/token-claims.ts'
import type { SessionRequest, SessionVerifier } from './session-verifier.ts'

/** Whom an application's own session stands for. */
export const SessionUser = Type.Object({
  userId: Name,
  roles: Type.Optional(Type.Array(Name)),
  /** Which groups may be joined: names, or `chat-*`. Default: any. */
  groups: Type.Optional(Type.Array(Name)),
  /** What may be sent to, beside what the roles allow: `user:42`, `group:chat-*`, `all`, … Default: nothing. */
  publish: Type.Optional(Type.Array(PublishPattern)),
  /** What `where` is compared with. */
  metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  /** When the session ends, in milliseconds since 1970. Default: never. */
  expiresAt: Type.Optional(Type.Number()),
})
export type SessionUser = Static<typeof SessionUser>

/**
 * Says whose session a request came with; undefined where it has none. A ProblemError of status 401 says that it has
 * one that does not count. What it answers with is believed.
 */
export type VerifySession = (
  request: SessionRequest,
) => Promise<SessionUser | undefined> | SessionUser | undefined

const userCheck = Compile(SessionUser)

/** The sessions that an application looks up itself. */
export class AppSessions implements SessionVerifier {
  readonly #verify: VerifySession

  constructor(verify: VerifySession) {
    this.#verify = verify
  }

  async verify(request: SessionRequest): Promise<Principal | undefined> {
    const user = await this.#verify(request)
    return user === undefined ? undefined : principalOfUser(user)
  }
}

/** @throws TypeError where an application names a user that cannot be: a mistake of its own. */
export function principalOfUser(user: SessionUser): Principal {
  if (!userCheck.Check(user)) {
    const [fault] = userCheck.Errors(user)
    throw new TypeError(`A session's ${fault?.instancePath.slice(1) || 'user'} ${fault?.message}`)
  }
  if (isReservedUser(user.userId)) throw new TypeError("A session's userId is one of an anonymous stream")
  const { userId, roles = [], metadata = {}, groups, publish, expiresAt } = user
  return {
    userId,
    roles,
    metadata,
    method: 'session',
    ...(groups === undefined ? {} : { groups }),
    ...(publish === undefined ? {} : { publish }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }
}
