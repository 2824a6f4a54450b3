import { Name, ProblemError } from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import { ANONYMOUS_PREFIX, type Principal } from '../principal.ts'
import { type Credentials, namedSessionOf } from './credentials.ts'

const nameCheck = Compile(Name)

/** Streams without a user: each is known by the session that it names, and may do no more than connect. */
export class AnonymousUsers {
  readonly #groups: readonly string[]

  /** @param groups what they may join. Default: nothing. */
  constructor(groups: readonly string[] = []) {
    this.#groups = groups
  }

  /** Who a request comes from; undefined where it names no session. @throws ProblemError `invalid_request` */
  principalOf(request: Credentials): Principal | undefined {
    const sessionId = namedSessionOf(request)
    if (sessionId === undefined) return undefined
    const userId = ANONYMOUS_PREFIX + String(sessionId)
    if (typeof sessionId === 'string' && sessionId !== '' && nameCheck.Check(userId)) {
      return { userId, roles: [], method: 'anonymous', metadata: {}, groups: this.#groups }
    }
    const message = 'must be one name of 1 to 118 characters'
    throw new ProblemError('invalid_request', `"sessionId" ${message}.`, {
      errors: [{ path: 'query/sessionId', message }],
    })
  }
}
