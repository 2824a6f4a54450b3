import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { forge } from './tokens.ts'

const hostile = inHostileWorld()
const MANAGED = '/api/sse/managed'
const GROUP = `${MANAGED}/presence/group`

const bearer = (claims: Readonly<Record<string, unknown>>) => ({
  Authorization: `Bearer ${forge({ claims })}`,
})

const forbidden = (name: string, path: string, claims: Readonly<Record<string, unknown>>): HostileCase => ({
  name,
  path,
  headers: bearer(claims),
  status: 403,
  code: 'forbidden',
})

hostile('who may not join a group sees nobody in it', [
  forbidden('no group at all', `${GROUP}/healthy`, { sub: 'spy', groups: [] }),
  forbidden('another group', `${GROUP}/healthy`, { sub: 'spy', groups: ['health', 'Healthy'] }),
  forbidden('a pattern that stops before it', `${GROUP}/healthy`, { sub: 'spy', groups: ['healthy-*'] }),
  forbidden('an encoded name', `${GROUP}/%68ealthy`, { sub: 'spy', groups: ['%68ealthy'] }),
  forbidden('its events', `${MANAGED}/connect?groups=healthy&presence=true`, { sub: 'spy', groups: ['g'] }),
  forbidden('its events, a page at a time', '/api/realtime/polling?groups=healthy&presence=true', {
    sub: 'spy',
    groups: ['g'],
  }),
  forbidden('another user', `${MANAGED}/presence/user/healthy`, { sub: 'spy' }),
])

hostile('a question for presence that is none', [
  ...['0', '-1', '1.5', '1001', 'all', ''].map(
    (limit): HostileCase => ({
      name: `limit=${limit}`,
      path: `${GROUP}/g?limit=${limit}`,
      headers: bearer({ sub: 'ann' }),
      status: 400,
      code: 'invalid_request',
    }),
  ),
  {
    name: 'a group with a control character',
    path: `${GROUP}/a%00b`,
    headers: bearer({ sub: 'ann' }),
    status: 400,
    code: 'invalid_request',
  },
  {
    name: 'after a name that is none',
    path: `${GROUP}/g?after=${'x'.repeat(129)}`,
    headers: bearer({ sub: 'ann' }),
    status: 400,
    code: 'invalid_request',
  },
])

hostile('nobody says who comes and goes but the hub', [
  ...['presence_join', 'presence_leave'].map(
    (event): HostileCase => ({
      name: event,
      path: '/api/sse',
      headers: bearer({ sub: 'sender', publish: ['*'] }),
      body: { event, data: { group: 'g', userId: 'healthy' }, groups: ['g'] },
      status: 400,
      code: 'invalid_request',
    }),
  ),
])
