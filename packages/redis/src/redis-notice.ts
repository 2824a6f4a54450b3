/** Something for the log: a message that stays the same, and what it is about this time. */
export interface RedisNotice {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}
