import { expect } from 'vitest'
import { postJson } from '../services.ts'
import { sendBytes } from './answer.ts'
import { bytesOf, type HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { bearer } from './own-tokens.ts'
import { forge, PAST_S, tokenOf } from './tokens.ts'

const hostile = inHostileWorld()
const REVOCATIONS = '/api/auth/revocations'
const MANAGED = '/api/sse/managed'
const SEND = { event: 'forged', data: 1 }
const TASKS = { tasks: [{ id: 'a', name: 'a', url: 'http://127.0.0.1/' }] }

type Late = readonly [method: string, path: string, body: object, to?: 'gateway' | 'worker']

/** Sends the head as an admin, revokes him, and only then sends the body. */
const late = ([method, path, body, to = 'gateway']: Late, index: number): HostileCase => ({
  name: `${method} ${path}, at a ${to}`,
  status: 401,
  code: 'token_revoked',
  request: async (attacked) => {
    const { url, requests } = attacked[to]
    const userId = `gone-${index}`
    const headers = bearer(forge({ claims: { sub: userId, roles: ['admin'], iat: PAST_S } }))
    const text = JSON.stringify(body)
    const asked = { name: '', status: 0, method, path: path.replace('SELF', userId), headers, body: text }
    const whole = Buffer.from(bytesOf(asked, tokenOf))
    const bodyAt = whole.length - text.length
    const before = requests.length
    return sendBytes(url, whole.subarray(0, bodyAt), {
      later: async () => {
        await expect.poll(() => requests.length).toBeGreaterThan(before)
        const revoked = await postJson(url + REVOCATIONS, { userId }, bearer(tokenOf('admin')))
        expect(revoked.status).toBe(200)
        return whole.subarray(bodyAt)
      },
    })
  },
})

const LATE: readonly Late[] = [
  ['DELETE', `${REVOCATIONS}?userId=SELF`, {}],
  ['POST', REVOCATIONS, { userId: 'healthy' }],
  ['POST', '/api/sse', SEND],
  ['POST', `${MANAGED}/broadcast`, SEND],
  ['DELETE', `${MANAGED}/connections`, {}],
  ['POST', '/api/auth/session', {}],
  ['POST', '/api/auth/sse-token', {}],
  ['POST', '/api/sse-proxy/reactive/parallel-tasks/sse-emitter', TASKS],
  ['POST', '/api/sse-proxy/relay/sse-emitter', { endpoint: '/api/sse/flow-example' }],
  ['POST', '/api/sse/emitter/parallel-tasks', TASKS, 'worker'],
  ['DELETE', `${REVOCATIONS}?userId=SELF`, {}, 'worker'],
]
hostile('what comes whole only after its user was revoked is not done', LATE.map(late))
