import { make } from './element.js'
import { numberOf, textOf } from './stream-session.js'

/** @typedef {'running' | 'waiting' | 'done' | 'failed' | 'cancelled'} TaskState */

const GLYPHS = { running: '›', waiting: '↻', done: '✓', failed: '✕', cancelled: '–' }

/** A task and its bar. What is reported is noted at once, and shown by `render`. */
export class TaskRow {
  element = make('li', { class: 'task' })
  /** @type {TaskState} */
  state = 'running'
  #name
  #source
  #attempt = 1
  /** Unknown until the first report. @type {number | undefined} */
  #progress
  /** How far an earlier attempt had come, which counts no more. */
  #voided = 0
  /** Why there is another attempt. */
  #retried = ''
  #note = ''
  #outcome = ''

  #glyph = make('span', { class: 'glyph' })
  #title = make('strong')
  #origin = make('span', { class: 'origin' })
  #tries = make('span', { class: 'tries' })
  #result = make('span', { class: 'outcome' })
  #fill = make('span', { class: 'fill' })
  #ghost = make('span', { class: 'ghost' })
  #bar = make('div', { class: 'bar' }, this.#ghost, this.#fill)
  #message = make('p', { class: 'note' })

  /** @param {string} taskId */
  constructor(taskId) {
    this.#name = taskId
    this.#source = ''
    this.#glyph.ariaHidden = 'true'
    this.#bar.role = 'progressbar'
    this.#bar.ariaValueMin = '0'
    this.#bar.ariaValueMax = '100'
    this.element.dataset['task'] = taskId
    const head = make(
      'div',
      { class: 'head' },
      this.#glyph,
      this.#title,
      this.#origin,
      this.#tries,
      this.#result,
    )
    this.element.append(head, this.#bar, this.#message)
  }

  /** @param {string} type @param {unknown} data */
  apply(type, data) {
    this.#name = textOf(data, 'taskName') ?? this.#name
    this.#source = textOf(data, 'source') ?? this.#source
    if (type === 'task_start') this.#onStart(data)
    else if (type === 'task_progress') this.#onProgress(data)
    else if (type === 'task_retry') this.#onRetry(data)
    else if (type === 'task_complete') this.#onComplete(data)
    else if (type === 'task_error') this.#onError(data)
  }

  render() {
    this.element.dataset['state'] = this.state
    this.#glyph.textContent = GLYPHS[this.state]
    this.#title.textContent = this.#name
    this.#origin.textContent = this.#source
    this.#tries.textContent = this.#attempt > 1 ? `attempt ${this.#attempt}` : ''
    this.#result.textContent = this.#outcome || (this.#progress === undefined ? '' : `${this.#progress} %`)
    this.#message.textContent = [this.#retried, this.#note].filter((part) => part !== '').join(' ')
    this.#bar.ariaLabel = this.#name
    this.#bar.ariaValueText = `${this.state}${this.#outcome === '' ? '' : `, ${this.#outcome}`}`
    this.#bar.classList.toggle('unknown', this.state === 'running' && this.#progress === undefined)
    if (this.#progress === undefined) this.#bar.removeAttribute('aria-valuenow')
    else this.#bar.ariaValueNow = String(this.#progress)
    this.#fill.style.inlineSize = `${this.#progress ?? 0}%`
    this.#ghost.style.inlineSize = `${this.#voided}%`
  }

  /** @param {unknown} data */
  #onStart(data) {
    this.state = 'running'
    this.#attempt = numberOf(data, 'attempt') ?? 1
    this.#progress = undefined
    this.#outcome = ''
  }

  /** @param {unknown} data */
  #onProgress(data) {
    const step = numberOf(data, 'step')
    const bytes = numberOf(data, 'bytes')
    this.#progress = clampPercent(numberOf(data, 'progress') ?? 0)
    const steps = step === undefined ? '' : `Step ${step} of ${numberOf(data, 'totalSteps') ?? '?'}`
    this.#note = textOf(data, 'message') ?? (bytes === undefined ? steps : bytesText(bytes))
  }

  /** @param {unknown} data */
  #onRetry(data) {
    const voided = this.#progress ?? 0
    this.state = 'waiting'
    this.#voided = Math.max(this.#voided, voided)
    this.#progress = undefined
    this.#outcome = `again in ${Math.round(numberOf(data, 'delayMs') ?? 0)} ms`
    const lost = voided > 0 ? ` Its ${voided} % are void.` : ''
    this.#note = ''
    this.#retried = `Attempt ${this.#attempt} failed: ${textOf(data, 'reason') ?? 'no reason given'}.${lost}`
    this.#attempt = numberOf(data, 'attempt') ?? this.#attempt + 1
  }

  /** @param {unknown} data */
  #onComplete(data) {
    const result = /** @type {Record<string, unknown>} */ (data)['result']
    const status = numberOf(result, 'status')
    const durationMs = numberOf(data, 'durationMs')
    this.state = 'done'
    this.#progress = 100
    this.#attempt = numberOf(data, 'attempt') ?? this.#attempt
    this.#outcome = [status, durationMs === undefined ? undefined : durationText(durationMs)]
      .filter((part) => part !== undefined)
      .join(' · ')
  }

  /** @param {unknown} data */
  #onError(data) {
    const code = textOf(data, 'code') ?? ''
    this.state = code === 'cancelled' ? 'cancelled' : 'failed'
    this.#outcome = code === 'cancelled' ? 'cancelled' : `failed: ${code || 'no code'}`
    this.#note = textOf(data, 'error') ?? ''
  }
}

/** @param {number} progress */
export function clampPercent(progress) {
  return Math.round(Math.min(100, Math.max(0, progress)))
}

/** @param {number} bytes */
function bytesText(bytes) {
  if (bytes < 1_000) return `${bytes} bytes`
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** @param {number} durationMs */
export function durationText(durationMs) {
  return durationMs < 1_000 ? `${Math.round(durationMs)} ms` : `${(durationMs / 1_000).toFixed(1)} s`
}
