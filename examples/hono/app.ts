import { type Hub, problemResponse, respondWithStream } from '@tributary/hub'
import { Hono } from 'hono'
import { userOf } from './session.ts'

/** An app like any other, around a hub. */
export function createApp(hub: Hub): Hono {
  const app = new Hono()

  app.get('/events', async (c) => {
    const userId = userOf(c.req.header('cookie'))
    if (userId === undefined) return c.json({ error: 'Log in first' }, 401)
    return respondWithStream(hub, c.req.raw, { userId })
  })

  app.post('/users/:userId/notifications', async (c) => {
    if (userOf(c.req.header('cookie')) === undefined) return c.json({ error: 'Log in first' }, 401)
    return c.json(await hub.sendToUser(c.req.param('userId'), 'notification', await c.req.json()))
  })

  app.onError((error, c) => problemResponse(error) ?? c.json({ error: 'Something went wrong' }, 500))
  return app
}
