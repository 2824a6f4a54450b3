import { problemResponse, respondWithStream } from '@tributary/hub'
import { getHub } from '../../../lib/hub.ts'
import { userOf } from '../../../lib/session.ts'

/** The hub lives in this process. @public For Next.js. */
export const runtime = 'nodejs'
/** Every answer is its caller's own. @public For Next.js. */
export const dynamic = 'force-dynamic'

/** The stream of who is logged in. */
export async function GET(request: Request): Promise<Response> {
  const userId = userOf(request.headers.get('cookie'))
  if (userId === undefined) return notLoggedIn()
  return respondWithStream(await getHub(), request, { userId })
}

/** Notifies the user that `?user=` names of what the body says. */
export async function POST(request: Request): Promise<Response> {
  if (userOf(request.headers.get('cookie')) === undefined) return notLoggedIn()
  const user = new URL(request.url).searchParams.get('user')
  if (user === null) return Response.json({ error: 'Say whom to notify: ?user=' }, { status: 400 })
  try {
    const hub = await getHub()
    return Response.json(await hub.sendToUser(user, 'notification', await request.json()))
  } catch (error) {
    const refusal = problemResponse(error)
    if (refusal === undefined) throw error
    return refusal
  }
}

function notLoggedIn(): Response {
  return Response.json({ error: 'Log in first' }, { status: 401 })
}
