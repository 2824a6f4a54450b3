export type { App } from './app.ts'
export {
  Authenticator,
  type AuthenticatorOptions,
  type AuthPolicy,
  type Principal,
  principalOf,
} from './auth.ts'
export { describeConfig, type Env, type ReadConfigOptions, readConfig, withEnvFile } from './config.ts'
export { ConfigError, fromVariable } from './config-error.ts'
export {
  type AppOptions,
  createApp,
  DEFAULT_BODY_LIMIT,
  DEFAULT_HEADERS_TIMEOUT_MS,
  DEFAULT_REQUEST_TIMEOUT_MS,
} from './create-app.ts'
export type { Credentials } from './credentials.ts'
export { Drain, type DrainHook, type DrainOptions, type DrainState, drainingError } from './drain.ts'
export type { ReadyCheck } from './health.ts'
export type { ListenAddress } from './listen-error.ts'
export { createLogger, type LoggerOptions, messageFirst, redactToken } from './logger.ts'
export { sendProblem } from './problem-answers.ts'
export { toProblemError } from './request-error.ts'
export { runService, type Service, type ServiceOptions } from './run-service.ts'
export { SECRET_VARIABLES, serviceConfig } from './service-config.ts'
export { addStaticPage, SSE_CLIENT_PAGE, type StaticPageOptions } from './static-page.ts'
export {
  DEFAULT_STATIC_TOKENS,
  parseStaticTokens,
  readStaticTokens,
  StaticTokens,
  type TokenOwner,
} from './static-tokens.ts'
