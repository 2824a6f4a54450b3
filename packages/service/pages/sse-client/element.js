/**
 * The element of an id, which must be there and of this type.
 *
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id)
  if (found instanceof type) return found
  throw new Error(`there is no ${type.name} #${id}`)
}

/**
 * Makes an element. Text only ever becomes text: what comes over the wire is never markup.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{class?: string, text?: string, title?: string, data?: Record<string, string>}} [options]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag)
  if (options.class !== undefined) element.className = options.class
  if (options.text !== undefined) element.textContent = options.text
  if (options.title !== undefined) element.title = options.title
  Object.assign(element.dataset, options.data)
  element.append(...children)
  return element
}

/**
 * Makes a button that is none of its form's.
 *
 * @param {string} text
 * @param {() => void} onClick
 * @param {{class?: string, label?: string}} [options] `label`: what it is called where its text says too little.
 * @returns {HTMLButtonElement}
 */
export function makeButton(text, onClick, options = {}) {
  const button = make('button', { text, class: options.class ?? 'small' })
  button.type = 'button'
  if (options.label !== undefined) button.ariaLabel = options.label
  button.addEventListener('click', onClick)
  return button
}

/**
 * Shows a text, or hides its element where there is none.
 *
 * @param {HTMLElement} element
 * @param {string | undefined} text
 */
export function show(element, text) {
  element.hidden = text === undefined || text === ''
  element.textContent = text ?? ''
}

/**
 * Calls back before the next frame, once, however often it is asked to.
 *
 * @param {() => void} render
 * @returns {() => void} asks for it
 */
export function oncePerFrame(render) {
  let asked = false
  return () => {
    if (asked) return
    asked = true
    requestAnimationFrame(() => {
      asked = false
      render()
    })
  }
}
