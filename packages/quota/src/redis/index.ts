export { RedisUserQuota } from './redis-user-quota.ts'
