import { errorText } from './api.js'
import { byId, make, makeButton, show } from './element.js'

/** @import { Api } from './api.js' */

/** Runs that are listed, newest first. */
const MAX_LISTED = 12

/** What colour a run has, by its status. */
const TONES = new Map([
  ['succeeded', 'success'],
  ['partial', 'warning'],
  ['failed', 'failure'],
  ['expired', 'failure'],
  ['unreachable', 'warning'],
  ['cancelled', 'control'],
])

/** The runs there are, to be watched. */
export class RunsPanel {
  #rows = byId('run-rows', HTMLElement)
  #empty = byId('runs-empty', HTMLElement)
  #fault = byId('runs-fault', HTMLElement)
  #api
  #onWatch

  /**
   * @param {Api} api
   * @param {(runId: string) => void} onWatch
   */
  constructor(api, onWatch) {
    this.#api = api
    this.#onWatch = onWatch
    byId('refresh-runs', HTMLButtonElement).addEventListener('click', () => void this.refresh())
  }

  async refresh() {
    try {
      const { runs } = await this.#api.call('GET', '/api/runs')
      show(this.#fault, undefined)
      this.#rows.replaceChildren(...runs.slice(0, MAX_LISTED).map((/** @type {any} */ run) => this.#row(run)))
      this.#empty.hidden = runs.length > 0
    } catch (error) {
      show(this.#fault, errorText(error))
    }
  }

  /** @param {any} run */
  #row({ runId, kind, status, startedAt, totalTasks, successCount, errorCount }) {
    const chip = make('span', { class: 'chip', text: status, data: { tone: TONES.get(status) ?? 'task' } })
    const facts = `${successCount} + ${errorCount} of ${totalTasks} · ${new Date(startedAt).toLocaleTimeString()}`
    const text = make(
      'div',
      {},
      make('div', { class: 'who' }, make('strong', { text: kind }), chip),
      make('p', { class: 'quiet', text: facts }),
    )
    return make(
      'li',
      { title: runId },
      text,
      makeButton('Watch', () => this.#onWatch(runId), { label: `Watch ${runId}` }),
    )
  }
}
