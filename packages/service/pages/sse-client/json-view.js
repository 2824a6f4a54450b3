import { make } from './element.js'

/** Beyond this it is shown in one colour, as making thousands of elements would take too long. */
const MAX_COLOURED_CHARS = 20_000

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/**
 * A value as indented JSON, coloured.
 *
 * @param {unknown} value
 */
export function jsonView(value) {
  const text = JSON.stringify(value, null, 2) ?? 'undefined'
  const view = make('pre', { class: 'json' })
  view.tabIndex = 0
  if (text.length > MAX_COLOURED_CHARS) {
    view.textContent = text
    return view
  }
  let end = 0
  for (const match of text.matchAll(TOKEN)) {
    const [whole, string, colon, word] = match
    view.append(
      text.slice(end, match.index),
      make('span', { class: kindOf(string, colon, word), text: string ?? whole }),
    )
    if (colon !== undefined) view.append(colon)
    end = match.index + whole.length
  }
  view.append(text.slice(end))
  return view
}

/**
 * @param {string | undefined} string
 * @param {string | undefined} colon
 * @param {string | undefined} word
 */
function kindOf(string, colon, word) {
  if (string !== undefined) return colon === undefined ? 'string' : 'key'
  return word === undefined ? 'number' : 'word'
}
