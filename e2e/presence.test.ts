import { PresenceChange } from '@tributary/protocol'
import { EventCollector } from '@tributary/testkit'
import { Compile } from 'typebox/compile'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway } from './services.ts'

const MANAGED = '/api/sse/managed'
const as = (user: string) => ({ authorization: `Bearer ${user}-token` })
const GRACE_MS = 300
const changeCheck = Compile(PresenceChange)

describe('presence', () => {
  let gateway: Awaited<ReturnType<typeof startGateway>>
  beforeAll(async () => {
    gateway = await startGateway({
      env: {
        AUTH_STATIC_TOKENS: 'ann-token=ann;bob-token=bob;cat-token=cat',
        PRESENCE_GRACE_MS: String(GRACE_MS),
      },
    })
  })
  afterAll(() => gateway.close())

  const read = async (path: string, user: string) => {
    const response = await fetch(gateway.url + MANAGED + path, { headers: as(user) })
    return { status: response.status, body: await response.json() }
  }
  const open = (path: string, user: string) => EventCollector.open(gateway.url + path, { headers: as(user) })
  const changesIn = (reader: EventCollector) =>
    reader.events
      .filter(({ type }) => type.startsWith('presence_'))
      .map(({ type, data }) => `${type} ${changeCheck.Check(data) ? data.userId : '?'}`)
      .filter((change) => !change.endsWith('ann'))

  it('is listed with a cursor, from which a stream of a group is told each change once', async () => {
    await using bob = await open(`${MANAGED}/connect/group/g`, 'bob')
    await bob.waitFor('connection')
    const { body } = await read('/presence/group/g', 'ann')
    expect(body).toMatchObject({ groupId: 'g', userCount: 1, users: [{ userId: 'bob', connectionCount: 1 }] })
    {
      await using first = await open(`${MANAGED}/connect/group/g`, 'cat')
      await using second = await open(`${MANAGED}/connect?groups=g`, 'cat')
      await Promise.all([first, second].map((reader) => reader.waitFor('connection')))
    }
    await using ann = await open(`${MANAGED}/connect/group/g?presence=true&lastEventId=${body.cursor}`, 'ann')
    await ann.waitFor('presence_leave')
    expect(changesIn(ann)).toEqual(['presence_join cat', 'presence_leave cat'])
    expect(changesIn(bob)).toEqual([])
    const poll = `/api/realtime/polling?groups=g&presence=true&since=${body.cursor}`
    const page: { events: { type: string }[] } = await (
      await fetch(gateway.url + poll, { headers: as('bob') })
    ).json()
    expect(page.events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['presence_join', 'presence_leave']),
    )
  })

  it('of a user is shown to himself, and to no other', async () => {
    await using bob = await open(`${MANAGED}/connect/group/g`, 'bob')
    await bob.waitFor('connection')
    expect(await read('/presence/user/bob', 'bob')).toMatchObject({
      status: 200,
      body: { userId: 'bob', online: true, connectionCount: 1, groups: ['g'] },
    })
    expect(await read('/presence/user/bob', 'ann')).toMatchObject({ status: 403 })
  })
})
