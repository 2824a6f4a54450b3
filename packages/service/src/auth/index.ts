export {
  /** @public For applications. */
  type Authenticated,
  /** @public For applications. */
  type Authentication,
  /** @public For applications. */
  type AuthenticationOptions,
  Authentications,
  /** @public For applications. */
  type NotAuthenticated,
} from './authentications.ts'
export type {
  /** @public For applications. */
  SessionUser,
  /** @public For applications. */
  VerifySession,
} from './sessions/app-sessions.ts'
