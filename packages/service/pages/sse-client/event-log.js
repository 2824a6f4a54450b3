import { byId, make, makeButton, oncePerFrame, show } from './element.js'
import { jsonView } from './json-view.js'

/** @import { StreamEvent } from './stream-session.js' */

/** Rows that are kept; the oldest go first. */
const MAX_ROWS = 500
/** Types that get a filter of their own. */
const MAX_TYPES = 60
const MAX_PREVIEW_CHARS = 240

/** What colour a type has: by what it means. */
const TONES = new Map([
  ['connection', 'control'],
  ['gap', 'warning'],
  ['heartbeat', 'control'],
  ['disconnected', 'control'],
  ['source_unavailable', 'warning'],
  ['task_start', 'task'],
  ['task_progress', 'task'],
  ['task_retry', 'warning'],
  ['task_complete', 'success'],
  ['task_error', 'failure'],
  ['error', 'failure'],
  ['source_error', 'failure'],
  ['source_complete', 'success'],
  ['progress', 'run'],
  ['aggregated_result', 'run'],
  ['complete', 'run'],
])

/** @param {string} type */
export function toneOf(type) {
  return TONES.get(type) ?? 'own'
}

/** The events as they came, newest first, in bounded memory. */
export class EventLog {
  #rows = byId('log', HTMLOListElement)
  #empty = byId('log-empty', HTMLElement)
  #note = byId('log-note', HTMLElement)
  #filter = byId('type-filter', HTMLFieldSetElement)
  #pause = byId('pause', HTMLButtonElement)
  /** Not shown yet: until the next frame, or while paused. @type {StreamEvent[]} */
  #waiting = []
  #paused = false
  #total = 0
  /** @type {Map<string, {count: number, button: HTMLButtonElement, counter: HTMLElement}>} */
  #types = new Map()
  /** Empty: all are shown. @type {Set<string>} */
  #chosen = new Set()
  #render = oncePerFrame(() => this.#flush())

  constructor() {
    byId('clear', HTMLButtonElement).addEventListener('click', () => this.clear())
    this.#pause.addEventListener('click', () => this.#setPaused(!this.#paused))
  }

  /** @param {StreamEvent} event */
  add(event) {
    this.#total += 1
    this.#waiting.push(event)
    if (this.#waiting.length > MAX_ROWS) this.#waiting.shift()
    this.#count(event.type)
    this.#render()
  }

  clear() {
    this.#waiting = []
    this.#total = 0
    this.#rows.replaceChildren()
    for (const { button } of this.#types.values()) button.remove()
    this.#types.clear()
    this.#chosen.clear()
    this.#render()
  }

  /** @param {boolean} paused */
  #setPaused(paused) {
    this.#paused = paused
    this.#pause.ariaPressed = String(paused)
    this.#pause.textContent = paused ? 'Resume' : 'Pause'
    this.#render()
  }

  #flush() {
    if (!this.#paused) {
      const rows = this.#waiting.reverse().map((event) => this.#row(event))
      this.#waiting = []
      this.#rows.prepend(...rows)
      while (this.#rows.childElementCount > MAX_ROWS) this.#rows.lastElementChild?.remove()
    }
    for (const { count, counter } of this.#types.values()) counter.textContent = String(count)
    this.#filter.hidden = this.#types.size < 2
    this.#empty.hidden = this.#rows.childElementCount > 0
    show(this.#note, this.#noteText())
  }

  #noteText() {
    if (this.#paused) return `Paused, ${this.#waiting.length} waiting`
    const shown = this.#rows.childElementCount
    return shown < this.#total ? `The newest ${shown} of ${this.#total}` : undefined
  }

  /** @param {StreamEvent} event */
  #row({ type, shown, id, at }) {
    const text = JSON.stringify(shown) ?? ''
    const preview = text.length > MAX_PREVIEW_CHARS ? `${text.slice(0, MAX_PREVIEW_CHARS)}…` : text
    const time = make('time', { text: timeText(at) })
    time.dateTime = at.toISOString()
    const summary = make(
      'summary',
      {},
      time,
      make('span', { class: 'chip', text: type, data: { tone: toneOf(type) } }),
      make('code', { class: 'preview', text: preview }),
      make('code', { class: 'id', text: shortId(id), ...(id === undefined ? {} : { title: id }) }),
    )
    const details = make('details', {}, summary)
    details.addEventListener('toggle', () => details.append(jsonView(shown)), { once: true })
    const row = make('li', { data: { type } }, details)
    row.hidden = this.#isHidden(type)
    return row
  }

  /** @param {string} type */
  #isHidden(type) {
    return this.#chosen.size > 0 && !this.#chosen.has(type)
  }

  /** @param {string} type */
  #count(type) {
    const known = this.#types.get(type)
    if (known !== undefined) {
      known.count += 1
      return
    }
    if (this.#types.size >= MAX_TYPES) return
    const counter = make('span', { class: 'count', text: '1' })
    const button = makeButton(type, () => this.#toggle(type), { class: 'chip' })
    button.dataset['tone'] = toneOf(type)
    button.ariaPressed = 'false'
    button.append(' ', counter)
    this.#filter.append(button)
    this.#types.set(type, { count: 1, button, counter })
  }

  /** @param {string} type */
  #toggle(type) {
    if (!this.#chosen.delete(type)) this.#chosen.add(type)
    for (const [each, { button }] of this.#types) button.ariaPressed = String(this.#chosen.has(each))
    for (const row of this.#rows.children) {
      if (row instanceof HTMLElement) row.hidden = this.#isHidden(row.dataset['type'] ?? '')
    }
  }
}

/** @param {Date} at */
function timeText(at) {
  const part = (/** @type {number} */ value, length = 2) => String(value).padStart(length, '0')
  return `${part(at.getHours())}:${part(at.getMinutes())}:${part(at.getSeconds())}.${part(at.getMilliseconds(), 3)}`
}

/** The number at the end says most; the whole id is in the title and in the facts. @param {string | undefined} id */
function shortId(id) {
  if (id === undefined) return ''
  const number = id.slice(id.lastIndexOf('-') + 1)
  return number === id ? id : `#${number}`
}
