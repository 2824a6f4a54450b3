import { EventCollector, serveDns } from '@tributary/testkit'
import { expect } from 'vitest'
import { HostileWorld } from './hostile-world.ts'
import { tokenOf } from './tokens.ts'
import { setTrap, startHostileServer } from './trap.ts'

/** What may be called: the same port as the trap's, at the next address. */
export const ALLOWED = '127.0.0.2'
const PUBLIC = '93.184.215.14'

/** What the names of the zone `test` are answered with, one time after the other. */
const ZONE = {
  'open.test': [[ALLOWED]],
  'denied.test': [[ALLOWED]],
  'a.closed.test': [[ALLOWED]],
  'v4.test': [['127.0.0.1']],
  'v6.test': [['::1']],
  'zero.test': [['0.0.0.0']],
  'mapped.test': [['::ffff:127.0.0.1']],
  'nat64.test': [['64:ff9b::7f00:1']],
  '6to4.test': [['2002:7f00:1::']],
  'metadata.test': [['169.254.169.254']],
  'azure.test': [['168.63.129.16']],
  'private.test': [['10.0.0.1']],
  'link.test': [['fe80::1']],
  'unique.test': [['fd00::1']],
  'one-of-two.test': [[PUBLIC, '127.0.0.1']],
  'last-of-many.test': [[PUBLIC, PUBLIC, PUBLIC, '10.0.0.1']],
  'one-family.test': [[PUBLIC, '::1']],
  'allowed-and-not.test': [[ALLOWED, '127.0.0.1']],
  'rebinds-on-retry.test': [[ALLOWED], ['127.0.0.1']],
  'rebinds-on-redirect.test': [[ALLOWED], ['127.0.0.1']],
  'rebinds-by-family.test': [[ALLOWED], ['::1']],
  'rebinds-to-both.test': [[ALLOWED], [ALLOWED, '127.0.0.1']],
}

/** What a task says that was not let through: the same, whatever is there. */
export const REFUSED = { code: 'address_refused', error: 'The address may not be called' }

/** The bytes of a redirect. */
export const redirect = (location: string, status = 302, more = '') =>
  `HTTP/1.1 ${status} x\r\nlocation: ${location}\r\n${more}content-length: 0\r\nconnection: close\r\n\r\n`

/** A gateway and a worker, a server that means harm, and beside it one that nobody may reach. */
export async function startSsrfWorld(
  gateway: (port: number) => Readonly<Record<string, string>> = () => ({}),
) {
  const trap = await setTrap()
  const { port } = trap
  const hostile = await startHostileServer(port, ALLOWED)
  const dns = await serveDns(ZONE)
  const OUTBOUND_DNS_SERVERS = dns.address
  const world = await HostileWorld.start({
    worker: {
      OUTBOUND_DNS_SERVERS,
      OUTBOUND_ALLOW: `${ALLOWED}:${port},*.closed.test,127.0.0.4`,
      OUTBOUND_DENY: 'denied.test,*.closed.test,127.0.0.4',
      TASK_MAX_BODY_BYTES: '65536',
    },
    gateway: { OUTBOUND_DNS_SERVERS, OUTBOUND_ALLOW: '', ...gateway(port) },
  })

  /** Starts a run as a user beside the healthy stream, reads it to its end, and picks one of its events. */
  const run = (url: string, body: unknown, pick: (events: EventCollector) => unknown) =>
    world.healthy.during(async () => {
      await using events = await EventCollector.open(url, {
        body,
        headers: { authorization: `Bearer ${tokenOf('user')}` },
      })
      await events.waitFor('complete')
      return pick(events)
    })
  /** Runs one task at the worker. Answers its last event. */
  const outcomeOf = (task: object) =>
    run(
      `${world.worker.url}/api/sse/emitter/parallel-tasks`,
      { tasks: [{ id: 't', ...task }] },
      (events) => [...events.ofType('error'), ...events.ofType('task_complete')][0]?.data,
    )
  return {
    trap,
    hostile,
    dns,
    world,
    run,
    outcomeOf,
    /** Holds that a task is refused, and that nothing came to the trap. */
    async holdRefused(task: object, refusal: object = REFUSED): Promise<void> {
      expect(await outcomeOf(task)).toMatchObject(refusal)
      expect(trap.connections).toBe(0)
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      for (const each of [trap, hostile, dns]) await each[Symbol.asyncDispose]()
    },
  }
}
