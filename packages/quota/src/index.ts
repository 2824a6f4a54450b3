export { LocalUserQuota } from './local-user-quota.ts'
export type { Hold, QuotaLimits, TakeAnswer, UserQuota } from './user-quota.ts'
