import { make, makeButton } from './element.js'
import { FieldError } from './form-values.js'

/** @typedef {{endpoint: string, name?: string}} MergeSource */

/** The editable list of streams to merge. */
export class SourceList {
  #list
  #onChange

  /**
   * @param {HTMLElement} list
   * @param {() => void} onChange
   */
  constructor(list, onChange) {
    this.#list = list
    this.#onChange = onChange
  }

  /** @param {MergeSource} source */
  add({ endpoint, name = '' }) {
    const row = make('li')
    const remove = makeButton(
      '×',
      () => {
        row.remove()
        this.#onChange()
      },
      { class: 'icon', label: 'Remove this stream' },
    )
    row.append(
      field('source-endpoint', 'Endpoint', endpoint, '/api/sse/…'),
      field('source-name', 'Name', name, 'name'),
      remove,
    )
    this.#list.append(row)
    this.#onChange()
  }

  /** Puts the caret where the last stream's endpoint is typed. */
  focusLast() {
    const last = this.#list.lastElementChild?.querySelector('input')
    last?.focus()
  }

  /**
   * @returns {MergeSource[]}
   * @throws {FieldError}
   */
  sources() {
    const sources = [...this.#list.children].flatMap((row) => {
      const [endpoint = '', name = ''] = [...row.querySelectorAll('input')].map((input) => input.value.trim())
      if (endpoint === '') return []
      return [name === '' ? { endpoint } : { endpoint, name }]
    })
    if (sources.length === 0) throw new FieldError('source-endpoint', 'Add at least one stream to merge.')
    return sources
  }
}

/**
 * @param {string} name
 * @param {string} label
 * @param {string} value
 * @param {string} placeholder
 */
function field(name, label, value, placeholder) {
  const input = make('input', { class: name })
  Object.assign(input, { name, value, placeholder, ariaLabel: label, spellcheck: false })
  return input
}
