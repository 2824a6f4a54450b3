export interface FencedBlock {
  /** What stands behind the opening fence; empty where nothing does. */
  readonly language: string
  readonly text: string
  /** The paragraph before it. */
  readonly lead: string
}

const FENCED = /^```(.*)\n([\s\S]*?)\n```$/gm

/** The fenced blocks of a document, in order. */
export function fencedBlocks(markdown: string): FencedBlock[] {
  return [...markdown.matchAll(FENCED)].map(({ index, 1: language = '', 2: text = '' }) => ({
    language: language.trim(),
    text,
    lead: markdown.slice(0, index).trimEnd().split('\n\n').at(-1) ?? '',
  }))
}

/** The tables of a document: for each its rows, of cells as they are written, the head first. */
export function tables(markdown: string): string[][][] {
  const blocks = markdown.match(/(^\|.*\|\n?)+/gm) ?? []
  return blocks.map((block) => {
    const [head, , ...rows] = block.trimEnd().split('\n')
    return [head ?? '', ...rows].map(cells)
  })
}

/** What stands between backticks. */
export function codeSpans(markdown: string): string[] {
  return [...markdown.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

function cells(row: string): string[] {
  return row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
}
