import { Api, errorText } from './sse-client/api.js'
import { ConnectionsPanel } from './sse-client/connections-panel.js'
import { byId, oncePerFrame, show } from './sse-client/element.js'
import { EventLog } from './sse-client/event-log.js'
import { RunsPanel } from './sse-client/runs-panel.js'
import { SendForm } from './sse-client/send-form.js'
import { StateCard } from './sse-client/state-card.js'
import { StreamForm } from './sse-client/stream-form.js'
import { StreamSession } from './sse-client/stream-session.js'
import { TaskBoard } from './sse-client/task-board.js'

/** @import { StreamEvent } from './sse-client/stream-session.js' */
/** @import { StreamRequest } from './sse-client/stream-kinds.js' */

/** @type {StreamSession | undefined} */
let session
let path = ''
/** Names of events that were sent from here. @type {Set<string>} */
const sentTypes = new Set()

const api = new Api(() => form.token)
const form = new StreamForm({ onStart: start, onStop: () => session?.stop() })
const stateCard = new StateCard(api)
const board = new TaskBoard()
const log = new EventLog()
const connections = new ConnectionsPanel(api)
const runs = new RunsPanel(api, (runId) => form.watch(runId))
const sendForm = new SendForm(api, (type) => {
  sentTypes.add(type)
  session?.listenFor(type)
})

const render = oncePerFrame(() => {
  if (session === undefined) return
  stateCard.render(session, path)
  form.setRunning(!session.ended)
})

/**
 * @param {StreamRequest} request
 * @param {string[]} listen
 */
function start(request, listen) {
  session?.stop()
  board.reset()
  log.clear()
  path = `${request.method} ${request.path}`
  const started = new StreamSession(api, request, [...listen, ...sentTypes], {
    onChange: () => {
      if (session === started) onChange(started)
    },
    onEvent: (event) => {
      if (session === started) onEvent(event)
    },
  })
  session = started
  onChange(started)
}

/** @param {StreamSession} changed */
function onChange(changed) {
  connections.setOwn(changed.ended || changed.runId !== undefined ? undefined : changed.connectionId)
  render()
}

/** @param {StreamEvent} event */
function onEvent(event) {
  log.add(event)
  board.apply(event)
  const startsOrEndsRun =
    event.type === 'complete' || (event.type === 'connection' && session?.runId !== undefined)
  if (startsOrEndsRun) void runs.refresh()
}

/** Finds out which service this is, and shows what it has. */
async function discover() {
  try {
    const { info, paths } = await api.call('GET', '/docs/json')
    const title = String(info.title)
    byId('service', HTMLElement).textContent = title.replace(/^Tributary /, '')
    document.title = `${title}: stream client`
    const has = (/** @type {string} */ method, /** @type {string} */ route) =>
      paths[route]?.[method] !== undefined
    form.offer(has)
    if (has('post', '/api/sse/managed/broadcast')) sendForm.reveal()
    if (has('get', '/api/sse/managed/status')) connections.reveal()
    await runs.refresh()
  } catch (error) {
    show(byId('discovery', HTMLElement), `What this service offers cannot be found out. ${errorText(error)}`)
  }
}

await discover()
