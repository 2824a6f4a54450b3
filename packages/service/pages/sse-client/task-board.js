import { byId, make, oncePerFrame, show } from './element.js'
import { isObject, numberOf, textOf } from './stream-session.js'
import { clampPercent, durationText, TaskRow } from './task-row.js'

/** @import { StreamEvent } from './stream-session.js' */

/** Tasks with a row of their own; further ones are counted. */
const MAX_TASK_ROWS = 500
/** Named sources of a merge. */
const MAX_SOURCES = 64

/** Where a run stands: a bar a task, one for the whole, and what it came to. */
export class TaskBoard {
  #card = byId('board', HTMLElement)
  #counts = byId('board-counts', HTMLElement)
  #overall = byId('overall', HTMLElement)
  #percent = byId('overall-percent', HTMLElement)
  #list = byId('task-rows', HTMLElement)
  #overflow = byId('task-overflow', HTMLElement)
  #sourceList = byId('source-states', HTMLElement)
  /** By source and task id: two merged streams may use the same ids. @type {Map<string, TaskRow>} */
  #rows = new Map()
  /** By task id alone, for events that name no source. @type {Map<string, TaskRow>} */
  #byTask = new Map()
  #dirty = new Set()
  #omitted = new Set()
  /** The `progress` of each source, or of the run itself under `''`. @type {Map<string, {step: number, total: number}>} */
  #progress = new Map()
  /** @type {Map<string, HTMLElement>} */
  #sources = new Map()
  /** @type {unknown} */
  #complete
  #render = oncePerFrame(() => this.#draw())

  reset() {
    for (const map of [this.#rows, this.#byTask, this.#progress, this.#sources]) map.clear()
    for (const set of [this.#dirty, this.#omitted]) set.clear()
    this.#complete = undefined
    this.#list.replaceChildren()
    this.#sourceList.replaceChildren()
    this.#card.hidden = true
    this.#render()
  }

  /** @param {StreamEvent} event */
  apply({ type, data }) {
    // Where existing clients listen, a failed task is an `error` that names it.
    const name = type === 'error' && textOf(data, 'taskId') !== undefined ? 'task_error' : type
    if (name.startsWith('task_')) this.#onTask(name, data)
    else if (name === 'progress') this.#onProgress(data)
    else if (name === 'complete') this.#complete = data
    else if (name.startsWith('source_')) this.#onSource(name, data)
    else return
    this.#card.hidden = false
    this.#render()
  }

  /** @param {string} type @param {unknown} data */
  #onTask(type, data) {
    const taskId = textOf(data, 'taskId')
    if (taskId === undefined) return
    const row = this.#rowOf(taskId, textOf(data, 'source'))
    row?.apply(type, data)
    if (row !== undefined) this.#dirty.add(row)
  }

  /** @param {string} taskId @param {string | undefined} source */
  #rowOf(taskId, source) {
    const key = `${source ?? ''}\n${taskId}`
    const known = source === undefined ? this.#byTask.get(taskId) : this.#rows.get(key)
    if (known !== undefined) return known
    if (this.#rows.size >= MAX_TASK_ROWS) {
      this.#omitted.add(key)
      return undefined
    }
    const row = new TaskRow(taskId)
    this.#rows.set(key, row)
    this.#byTask.set(taskId, row)
    this.#list.append(row.element)
    return row
  }

  /** @param {unknown} data */
  #onProgress(data) {
    const total = numberOf(data, 'totalSteps') ?? 100
    const step = numberOf(data, 'step') ?? numberOf(data, 'progress') ?? 0
    const source = textOf(data, 'source') ?? ''
    if (this.#progress.has(source) || this.#progress.size < MAX_SOURCES)
      this.#progress.set(source, { step, total })
  }

  /** @param {string} type @param {unknown} data */
  #onSource(type, data) {
    const source = textOf(data, 'source')
    if (source === undefined || (!this.#sources.has(source) && this.#sources.size >= MAX_SOURCES)) return
    const chip = this.#sources.get(source) ?? make('li', { class: 'chip' })
    this.#sources.set(source, chip)
    this.#sourceList.append(chip)
    if (type === 'source_complete') {
      chip.dataset['tone'] = 'success'
      chip.textContent = `${source} ended`
    } else if (type === 'source_error') {
      chip.dataset['tone'] = 'failure'
      chip.textContent = `${source} failed: ${textOf(data, 'error') ?? 'no reason given'}`
    } else {
      chip.dataset['tone'] = 'warning'
      chip.textContent = `${source} is away, being waited for`
    }
  }

  #draw() {
    for (const row of this.#dirty) row.render()
    this.#dirty.clear()
    this.#sourceList.hidden = this.#sources.size === 0
    show(this.#overflow, this.#omitted.size === 0 ? undefined : `and ${this.#omitted.size} more tasks`)
    this.#counts.textContent = this.#countsText()
    const percent = this.#overallPercent()
    this.#overall.ariaValueNow = String(percent)
    this.#overall.dataset['status'] = textOf(this.#complete, 'status') ?? 'running'
    this.#percent.textContent = `${percent} %`
    const fill = this.#overall.firstElementChild
    if (fill instanceof HTMLElement) fill.style.inlineSize = `${percent}%`
  }

  #overallPercent() {
    if (this.#complete !== undefined) return 100
    let step = 0
    let total = 0
    for (const each of this.#progress.values()) {
      step += each.step
      total += each.total
    }
    return total === 0 ? 0 : clampPercent((step / total) * 100)
  }

  #countsText() {
    if (!isObject(this.#complete)) {
      const states = [...this.#rows.values()].map(({ state }) => state)
      const count = (/** @type {string} */ state) => states.filter((each) => each === state).length
      const failed = count('failed') + count('cancelled')
      if (states.length === 0) return ''
      return `${count('done')} done, ${failed} failed, ${count('running') + count('waiting')} under way`
    }
    const { status, totalTasks, successCount, errorCount, durationMs } = this.#complete
    const took = typeof durationMs === 'number' ? ` in ${durationText(durationMs)}` : ''
    return `${String(status)}: ${String(successCount)} succeeded, ${String(errorCount)} failed of ${String(totalTasks)}${took}`
  }
}
