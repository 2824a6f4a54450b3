import { type Hub, problemResponse, respondWithStream } from '@tributary/hub'
import type { Authentications } from '@tributary/service/auth'
import { Hono } from 'hono'
import { passwordCounts } from './users.ts'

/** An app that signs its users in, around a hub. */
export function createApp(hub: Hub, auth: Authentications): Hono {
  const app = new Hono()

  app.post('/session', async (c) => {
    const { userId, password } = await c.req.json()
    if (!passwordCounts(userId, password)) return c.json({ error: 'Wrong name or password' }, 401)
    c.header('set-cookie', await auth.issueSessionCookie({ userId, roles: ['reader'] }))
    return c.json({ userId })
  })

  app.delete('/session', (c) => {
    c.header('set-cookie', auth.clearSessionCookie())
    return c.json({})
  })

  app.get('/events', async (c) => {
    const who = await auth.authenticate(c.req.raw)
    if (!who.authenticated) throw who.error
    const { userId, roles, metadata } = who
    return respondWithStream(hub, c.req.raw, { userId, roles, metadata })
  })

  app.post('/notes', async (c) => {
    const who = await auth.authenticate(c.req.raw)
    if (!who.authenticated) throw who.error
    return c.json(await hub.sendToUser(who.userId, 'note', await c.req.json()))
  })

  app.onError((error, c) => problemResponse(error) ?? c.json({ error: 'Something went wrong' }, 500))
  return app
}
