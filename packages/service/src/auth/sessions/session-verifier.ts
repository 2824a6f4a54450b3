import type { Cookies, Credentials } from '../carriers/credentials.ts'
import type { Principal } from '../principal.ts'

/** What a session is looked for in. */
export interface SessionRequest extends Pick<Credentials, 'query' | 'headers'> {
  readonly cookies: Cookies
}

/** Finds the session that a browser sent along with a request. */
export interface SessionVerifier {
  /**
   * Whose it is. Undefined where there is none of its kind.
   *
   * @throws ProblemError of status 401 where there is one that does not count.
   */
  verify(request: SessionRequest): Promise<Principal | undefined>
}
