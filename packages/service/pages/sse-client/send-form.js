import { errorText } from './api.js'
import { byId, show } from './element.js'
import { FieldError, FormValues, markFault } from './form-values.js'

/** @import { Api } from './api.js' */

/** The form by which an event is sent. */
export class SendForm {
  #form = byId('send-form', HTMLFormElement)
  #answer = byId('send-answer', HTMLOutputElement)
  #button = byId('send', HTMLButtonElement)
  #values = new FormValues(this.#form)
  #api
  #onSend

  /**
   * @param {Api} api
   * @param {(type: string) => void} onSend told the event's name before it is sent
   */
  constructor(api, onSend) {
    this.#api = api
    this.#onSend = onSend
    this.#form.addEventListener('change', () => this.#showTarget())
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#send()
    })
  }

  reveal() {
    this.#form.hidden = false
  }

  #showTarget() {
    const target = this.#values.text('target')
    for (const field of this.#form.querySelectorAll('[data-target]')) {
      if (field instanceof HTMLElement) field.hidden = field.dataset['target'] !== target
    }
  }

  async #send() {
    markFault(this.#form, undefined)
    try {
      const { path, body } = this.#request()
      this.#onSend(body.event)
      this.#button.disabled = true
      const { id, delivered } = await this.#api.call('POST', path, body)
      const readers = delivered === 1 ? '1 connection' : `${delivered} connections`
      this.#tell(
        'success',
        `Delivered to ${readers}. ${id === null ? 'Ephemeral, so without an id.' : `Id ${id}`}`,
      )
    } catch (error) {
      if (error instanceof FieldError) markFault(this.#form, error.field)
      this.#tell('failure', errorText(error))
    } finally {
      this.#button.disabled = false
    }
  }

  /** @returns {{path: string, body: {event: string} & Record<string, unknown>}} */
  #request() {
    const values = this.#values
    const body = {
      event: values.text('event') || 'message',
      data: values.jsonOrText('data', 'The data'),
      priority: values.text('priority'),
      ...(values.text('ephemeral') === '' ? {} : { ephemeral: true }),
    }
    switch (values.text('target')) {
      case 'user':
        return {
          path: `/api/sse/managed/send/user/${encodeURIComponent(values.required('user', 'The user'))}`,
          body,
        }
      case 'group': {
        const group = encodeURIComponent(values.required('group', 'The group'))
        return { path: `/api/sse/managed/broadcast/group/${group}`, body }
      }
      case 'filtered': {
        const where = values.json('where', 'The metadata')
        if (where === undefined) throw new FieldError('where', 'The metadata is missing.')
        return { path: '/api/sse/managed/send/filtered', body: { ...body, where } }
      }
      default:
        return { path: '/api/sse/managed/broadcast', body }
    }
  }

  /** @param {'success' | 'failure'} tone @param {string} text */
  #tell(tone, text) {
    this.#answer.dataset['tone'] = tone
    show(this.#answer, text)
  }
}
