import { errorText } from './api.js'
import { byId, make, makeButton, show } from './element.js'

/** @import { Api } from './api.js' */

/** Connections that are listed; all are counted. */
const MAX_LISTED = 50
/** The server takes a moment to notice that its reader has left. */
const NOTICE_MS = 500
const CONNECTIONS = '/api/sse/managed/connections'

/** Who is connected, and what can be done about it. */
export class ConnectionsPanel {
  #card = byId('connections', HTMLElement)
  #totals = byId('totals', HTMLElement)
  #rows = byId('connection-rows', HTMLElement)
  #fault = byId('connections-fault', HTMLElement)
  #membership = byId('membership', HTMLFormElement)
  #groups = byId('own-groups', HTMLElement)
  #join = byId('join-group', HTMLInputElement)
  #api
  /** @type {string | undefined} */
  #ownId

  /** @param {Api} api */
  constructor(api) {
    this.#api = api
    byId('refresh-connections', HTMLButtonElement).addEventListener('click', () => void this.refresh())
    this.#membership.addEventListener('submit', (event) => {
      event.preventDefault()
      const group = this.#join.value.trim()
      if (group === '') return
      this.#join.value = ''
      void this.#change({ join: [group] })
    })
  }

  reveal() {
    this.#card.hidden = false
    void this.refresh()
  }

  /** @param {string | undefined} connectionId of this page's open stream, if it is one of these */
  setOwn(connectionId) {
    if (this.#ownId === connectionId) return
    this.#ownId = connectionId
    void this.refresh()
    if (connectionId === undefined) setTimeout(() => void this.refresh(), NOTICE_MS)
  }

  async refresh() {
    if (this.#card.hidden) return
    await this.#try(async () => {
      const [status, { connections }] = await Promise.all([
        this.#api.call('GET', '/api/sse/managed/status'),
        this.#api.call('GET', CONNECTIONS),
      ])
      this.#showTotals(status)
      this.#showOwn(connections)
      const listed = connections.slice(0, MAX_LISTED).map((/** @type {any} */ each) => this.#row(each))
      const rest = connections.length - listed.length
      this.#rows.replaceChildren(
        ...listed,
        ...(rest > 0 ? [make('li', { class: 'quiet', text: `and ${rest} more` })] : []),
      )
    })
  }

  /** @param {any} status */
  #showTotals({ totalEmitters, totalUsers, totalGroups }) {
    const facts = Object.entries({ Open: totalEmitters, Users: totalUsers, Groups: totalGroups })
    this.#totals.replaceChildren(
      ...facts.map(([name, count]) =>
        make('div', {}, make('dt', { text: name }), make('dd', { text: String(count) })),
      ),
    )
  }

  /** @param {any[]} connections */
  #showOwn(connections) {
    const own = connections.find(({ connectionId }) => connectionId === this.#ownId)
    this.#membership.hidden = own === undefined
    const chips = (own?.groups ?? []).map((/** @type {string} */ group) => {
      const leave = makeButton('×', () => void this.#change({ leave: [group] }), {
        class: 'icon',
        label: `Leave ${group}`,
      })
      return make('li', { class: 'chip', data: { tone: 'own' } }, group, leave)
    })
    this.#groups.replaceChildren(
      ...(chips.length > 0 ? chips : [make('li', { class: 'quiet', text: 'none' })]),
    )
  }

  /** @param {any} connection */
  #row({ connectionId, userId, sessionId, groups, metadata, eventsSent, connectedAt }) {
    const who = make('div', { class: 'who' }, make('strong', { text: userId ?? 'nobody' }))
    if (connectionId === this.#ownId) who.append(make('span', { class: 'badge', text: 'this page' }))
    const facts = [
      `${eventsSent} ${eventsSent === 1 ? 'event' : 'events'}`,
      `since ${new Date(connectedAt).toLocaleTimeString()}`,
      ...(sessionId === undefined ? [] : [`session ${sessionId}`]),
      ...(groups.length === 0 ? [] : [`in ${groups.join(', ')}`]),
      ...(Object.keys(metadata).length === 0 ? [] : [JSON.stringify(metadata)]),
    ]
    const close = makeButton('Close', () => void this.#close(connectionId), {
      label: `Close ${connectionId}`,
    })
    const text = make('div', {}, who, make('p', { class: 'quiet', text: facts.join(' · ') }))
    return make('li', { title: connectionId }, text, close)
  }

  /** @param {string} connectionId */
  async #close(connectionId) {
    await this.#act(() =>
      this.#api.call('DELETE', `${CONNECTIONS}/${encodeURIComponent(connectionId)}?reason=Closed+by+hand`),
    )
  }

  /** @param {{join?: string[], leave?: string[]}} change */
  async #change(change) {
    const id = this.#ownId
    if (id === undefined) return
    await this.#act(() =>
      this.#api.call('POST', `${CONNECTIONS}/${encodeURIComponent(id)}/subscriptions`, change),
    )
  }

  /** @param {() => Promise<unknown>} action */
  async #act(action) {
    await this.#try(async () => {
      await action()
      await this.refresh()
    })
  }

  /** @param {() => Promise<void>} action */
  async #try(action) {
    try {
      show(this.#fault, undefined)
      await action()
    } catch (error) {
      show(this.#fault, errorText(error))
    }
  }
}
