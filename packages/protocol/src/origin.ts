/** Who appended an entry, and as which of his. */
export interface Origin {
  readonly node: string
  /** From 1, rising; 0 where it is no node, but stands for a key. */
  readonly count: number
}

const ORIGIN = /^([A-Za-z0-9_-]{1,32})\.(\d{1,16})$/

export function formatOrigin({ node, count }: Origin): string {
  return `${node}.${count}`
}

/** `undefined` where `text` is none. */
export function parseOrigin(text: string | undefined): Origin | undefined {
  const match = text === undefined ? null : ORIGIN.exec(text)
  if (match === null) return undefined
  const count = Number(match[2])
  return Number.isSafeInteger(count) ? { node: match[1] ?? '', count } : undefined
}
