/** What a webhook tells: of single connections, and of users in groups. */
export const WEBHOOK_EVENTS = ['connect', 'disconnect', 'join', 'leave'] as const
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number]
