export { RedisUserQuota, type RedisUserQuotaOptions } from './redis-user-quota.ts'
