export type { SessionUser, VerifySession } from './app-sessions.ts'
export {
  type Authenticated,
  type Authentication,
  type AuthenticationOptions,
  Authentications,
  type NotAuthenticated,
} from './authentication.ts'
