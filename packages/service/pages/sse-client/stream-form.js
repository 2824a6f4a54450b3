import { byId, make, show } from './element.js'
import * as examples from './examples.js'
import { FieldError, FormValues, markFault } from './form-values.js'
import { SourceList } from './source-list.js'
import { COMMON_QUERY, STREAM_KINDS } from './stream-kinds.js'

/** @import { StreamKind, StreamRequest, StreamWay } from './stream-kinds.js' */

/** @typedef {StreamKind & {way: StreamWay}} AvailableKind */

/** The form by which a stream is chosen and started. */
export class StreamForm {
  #form = byId('stream-form', HTMLFormElement)
  #kind = byId('kind', HTMLSelectElement)
  #about = byId('about', HTMLElement)
  #preview = byId('request', HTMLElement)
  #fault = byId('stream-fault', HTMLElement)
  #stop = byId('stop', HTMLButtonElement)
  #start = byId('start', HTMLButtonElement)
  #tasks = byId('tasks', HTMLTextAreaElement)
  #values = new FormValues(this.#form)
  #sources = new SourceList(byId('sources', HTMLElement), () => this.#showRequest())
  /** @type {AvailableKind[]} */
  #available = []
  #onStart

  /** @param {{onStart: (request: StreamRequest, listen: string[]) => void, onStop: () => void}} listener */
  constructor({ onStart, onStop }) {
    this.#onStart = onStart
    this.#start.disabled = true
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.start()
    })
    this.#form.addEventListener('input', () => this.#showRequest())
    this.#kind.addEventListener('change', () => this.#showKind())
    this.#stop.addEventListener('click', onStop)
    byId('add-source', HTMLButtonElement).addEventListener('click', () => {
      this.#sources.add({ endpoint: '' })
      this.#sources.focusLast()
    })
  }

  /** What is in the token field. */
  get token() {
    return this.#values.text('token')
  }

  /**
   * Offers what the service has.
   *
   * @param {(method: string, route: string) => boolean} has
   */
  offer(has) {
    const onWorker = has('get', '/api/sample/users')
    this.#fillExamples(onWorker)
    this.#available = STREAM_KINDS.flatMap((kind) => {
      const way = kind.ways.find(({ method, route }) => has(method.toLowerCase(), route))
      return way === undefined ? [] : [{ ...kind, way }]
    })
    const groups = Map.groupBy(this.#available, ({ group }) => group)
    this.#kind.replaceChildren(
      ...[...groups].map(([label, kinds]) => {
        const group = make('optgroup')
        group.label = label
        group.append(...kinds.map((kind) => new Option(kind.label, kind.id)))
        return group
      }),
    )
    this.#start.disabled = this.#available.length === 0
    this.#showKind()
  }

  start() {
    markFault(this.#form, undefined)
    show(this.#fault, undefined)
    try {
      const listen = [...this.#values.names('listen'), ...this.#values.names('events')]
      this.#onStart(this.#request(), listen)
    } catch (error) {
      if (!(error instanceof FieldError)) throw error
      show(this.#fault, error.message)
      markFault(this.#form, error.field)
    }
  }

  /** @param {string} runId */
  watch(runId) {
    this.#kind.value = 'run'
    this.#showKind()
    const field = this.#form.querySelector('[name="runId"]')
    if (field instanceof HTMLInputElement) field.value = runId
    this.#showRequest()
    this.start()
  }

  /** @param {boolean} running */
  setRunning(running) {
    this.#stop.disabled = !running
    this.#start.textContent = running ? 'Start anew' : 'Start'
  }

  /** @returns {StreamRequest} */
  #request() {
    const kind = this.#available.find(({ id }) => id === this.#kind.value)
    if (kind === undefined) throw new FieldError('kind', 'The service has no such stream.')
    const { way } = kind
    const request = way.request({ values: this.#values, sources: () => this.#sources.sources() })
    const query = { ...request.query, ...this.#values.query(COMMON_QUERY) }
    return { ...request, method: way.method, query }
  }

  #showKind() {
    const kind = this.#available.find(({ id }) => id === this.#kind.value)
    this.#about.textContent = kind?.about ?? ''
    for (const field of this.#form.querySelectorAll('[data-field]')) {
      if (field instanceof HTMLElement) field.hidden = !kind?.fields.includes(field.dataset['field'] ?? '')
    }
    show(this.#fault, undefined)
    this.#showRequest()
  }

  #showRequest() {
    const way = this.#available.find(({ id }) => id === this.#kind.value)?.way
    if (way === undefined) return
    let path = way.route
    try {
      const request = this.#request()
      const search = new URLSearchParams(request.query).toString()
      path = request.path + (search === '' ? '' : `?${search}`)
    } catch (error) {
      // Half of it is typed; the route will do until the rest is.
      if (!(error instanceof FieldError)) throw error
    }
    this.#preview.replaceChildren(make('span', { class: 'method', text: way.method }), ` ${path}`)
  }

  /** @param {boolean} onWorker */
  #fillExamples(onWorker) {
    const use = (/** @type {{tasks: readonly unknown[]}} */ example) => {
      this.#tasks.value = examples.prettyTasks(example)
      this.#showRequest()
    }
    byId('example-calls', HTMLButtonElement).onclick = () => use(examples.exampleCalls(onWorker))
    byId('example-handlers', HTMLButtonElement).onclick = () => use(examples.exampleHandlers())
    use(onWorker ? examples.exampleCalls(onWorker) : examples.exampleHandlers())
    const fill = (/** @type {string} */ name, /** @type {readonly unknown[]} */ list) => {
      const field = this.#form.querySelector(`[name="${name}"]`)
      if (field instanceof HTMLTextAreaElement) field.value = examples.prettyList(list)
    }
    fill('localTasks', examples.EXAMPLE_LOCAL)
    fill('remoteTasks', examples.EXAMPLE_REMOTE)
    for (const source of examples.EXAMPLE_SOURCES) this.#sources.add(source)
  }
}
