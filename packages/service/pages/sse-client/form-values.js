/** A field that holds something that cannot be sent. */
export class FieldError extends Error {
  /** @override */
  name = 'FieldError'

  /**
   * @param {string} field the control's name
   * @param {string} message
   */
  constructor(field, message) {
    super(message)
    this.field = field
  }
}

/** What is in the fields of a form. */
export class FormValues {
  #form

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.#form = form
  }

  /**
   * The trimmed text of a field.
   *
   * @param {string} name
   */
  text(name) {
    const value = new FormData(this.#form).get(name)
    return typeof value === 'string' ? value.trim() : ''
  }

  /**
   * The text of a field that must hold some.
   *
   * @param {string} name
   * @param {string} called what people call it
   * @throws {FieldError}
   */
  required(name, called) {
    const text = this.text(name)
    if (text === '') throw new FieldError(name, `${called} is missing.`)
    return text
  }

  /**
   * The JSON in a field; `undefined` where it is empty.
   *
   * @param {string} name
   * @param {string} called
   * @returns {any}
   * @throws {FieldError}
   */
  json(name, called) {
    const text = this.text(name)
    if (text === '') return undefined
    try {
      return JSON.parse(text)
    } catch (error) {
      throw new FieldError(
        name,
        `${called} is not valid JSON: ${error instanceof Error ? error.message : error}`,
      )
    }
  }

  /**
   * JSON where the field looks like it, the text itself otherwise: so that a plain word can be sent.
   *
   * @param {string} name
   * @param {string} called
   * @returns {unknown}
   * @throws {FieldError}
   */
  jsonOrText(name, called) {
    const text = this.text(name)
    if (text === '') return null
    if (/^[[{"]/.test(text)) return this.json(name, called)
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }

  /**
   * The names in a comma-separated field.
   *
   * @param {string} name
   */
  names(name) {
    return splitNames(this.text(name))
  }

  /**
   * Those of the fields that hold something, as query parameters of the same names.
   *
   * @param {readonly string[]} names
   * @returns {Record<string, string>}
   */
  query(names) {
    const filled = names.map((name) => [name, this.text(name)]).filter(([, text]) => text !== '')
    return Object.fromEntries(filled)
  }
}

/**
 * Marks the fields at fault, and no others.
 *
 * @param {HTMLFormElement} form
 * @param {string | undefined} name
 */
export function markFault(form, name) {
  for (const control of form.querySelectorAll('[aria-invalid]')) control.removeAttribute('aria-invalid')
  const control = name === undefined ? null : form.querySelector(`[name="${CSS.escape(name)}"]`)
  if (!(control instanceof HTMLElement)) return
  control.setAttribute('aria-invalid', 'true')
  control.closest('details')?.setAttribute('open', '')
  control.focus()
}

/** @param {string} list */
export function splitNames(list) {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}
