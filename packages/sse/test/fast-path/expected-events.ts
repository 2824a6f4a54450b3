import { eventsOf, type HttpAnswer } from './http-answer.ts'

/** All ways in which bytes come to be written. */
export const MIXED = 'r5,s3,b9,t1,s1,b2,b10,t3,s4,b3,b2,e'
export const MIXED_EVENTS = 39

export const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

/** What a reader of a whole stream gets. */
export const whole = (count: number) => ['connection', ...numbers(count), 'complete', 'disconnected']

export const streamEvents = ({ status, body }: HttpAnswer) => ({ status, events: eventsOf(body) })
