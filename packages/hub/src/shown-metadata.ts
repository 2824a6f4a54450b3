/** The most that is shown of a user's metadata, in characters of JSON: it is kept for every stay. */
const MAX_SHOWN_CHARS = 1_024

/** What of a connection's metadata others may see of its user, as JSON; `undefined` where there is nothing, or too much. */
export function shownOf(
  metadata: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): string | undefined {
  const shown = keys.filter((key) => Object.hasOwn(metadata, key)).map((key) => [key, metadata[key]])
  if (shown.length === 0) return undefined
  const text = JSON.stringify(Object.fromEntries(shown))
  return text.length > MAX_SHOWN_CHARS ? undefined : text
}
