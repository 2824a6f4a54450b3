import { errorText } from './api.js'
import { byId, show } from './element.js'

/** @import { Api } from './api.js' */
/** @import { StreamSession } from './stream-session.js' */

const HEADLINES = {
  connecting: 'Connecting',
  open: 'Connected',
  reconnecting: 'Reconnecting',
  finished: 'Finished',
  closed: 'Closed by the server',
  failed: 'Failed',
  stopped: 'Stopped',
}

/** What a run came to. @type {Readonly<Record<string, string>>} */
const OUTCOMES = {
  succeeded: 'Run succeeded',
  partial: 'Run partly succeeded',
  failed: 'Run failed',
  cancelled: 'Run cancelled',
  expired: 'Run expired',
}

/** Where the stream stands: its state, its counts, and its run, which can be cancelled here. */
export class StateCard {
  #card = byId('state', HTMLElement)
  #headline = byId('state-text', HTMLElement)
  #detail = byId('state-detail', HTMLElement)
  #events = byId('fact-events', HTMLElement)
  #reconnects = byId('fact-reconnects', HTMLElement)
  #connection = byId('fact-connection', HTMLElement)
  #lastId = byId('fact-last-id', HTMLElement)
  #ids = byId('ids', HTMLElement)
  #run = byId('run', HTMLElement)
  #runLabel = byId('run-label', HTMLElement)
  #runId = byId('run-id', HTMLElement)
  #cancel = byId('cancel-run', HTMLButtonElement)
  #api
  /** @type {StreamSession | undefined} */
  #session
  #said = ''

  /** @param {Api} api */
  constructor(api) {
    this.#api = api
    this.#cancel.addEventListener('click', () => void this.#onCancel())
  }

  /**
   * @param {StreamSession} session
   * @param {string} path what it reads
   */
  render(session, path) {
    if (this.#session !== session) {
      this.#session = session
      this.#cancel.disabled = false
    }
    const { state, detail, runId, runStatus } = session
    this.#card.dataset['state'] = state
    const outcome = state === 'finished' ? OUTCOMES[runStatus ?? ''] : undefined
    this.#say(outcome ?? HEADLINES[state])
    this.#detail.textContent = detail || path
    this.#events.textContent = String(session.events)
    this.#reconnects.textContent = String(session.reconnects)
    this.#connection.textContent = session.connectionId ?? 'none'
    this.#lastId.textContent = session.lastEventId ?? 'none'
    this.#ids.hidden = session.connectionId === undefined
    this.#run.hidden = runId === undefined
    this.#runLabel.hidden = runId === undefined
    this.#runId.textContent = runId ?? ''
    this.#cancel.hidden = runStatus !== undefined
  }

  /** Only what has changed, or it would be read aloud at every event. @param {string} headline */
  #say(headline) {
    if (headline === this.#said) return
    this.#said = headline
    this.#headline.textContent = headline
  }

  async #onCancel() {
    const runId = this.#session?.runId
    if (runId === undefined) return
    this.#cancel.disabled = true
    try {
      const { status } = await this.#api.call('POST', `/api/runs/${encodeURIComponent(runId)}/cancel`)
      show(this.#detail, `The run is ${status}.`)
    } catch (error) {
      this.#cancel.disabled = false
      show(this.#detail, errorText(error))
    }
  }
}
