/** @typedef {{ line: number, tags: string[], code: string[] }} Fence `line` is that of the opening fence, from 1. */

const opening = /^(\s*)(`{3,})(\S*)\s*(.*)$/
const languages = ['ts', 'typescript']

/**
 * The TypeScript fences of markdown lines.
 *
 * @param {readonly string[]} lines
 * @param {number} first number of the first line
 * @returns {Fence[]}
 */
const fencesOfLines = (lines, first) => {
  const found = []
  for (let i = 0; i < lines.length; i++) {
    const open = opening.exec(lines[i])
    if (open === null) continue
    const [, indent, ticks, language, info] = open
    const code = []
    const start = i
    const isClosing = (line) => line.trim().startsWith(ticks) && line.trim().replaceAll('`', '') === ''
    while (++i < lines.length && !isClosing(lines[i]))
      code.push(lines[i].startsWith(indent) ? lines[i].slice(indent.length) : lines[i].trimStart())
    if (languages.includes(language)) found.push({ line: first + start, tags: info.split(/\s+/).filter(Boolean), code })
  }
  return found
}

/** @param {string} text @returns {Fence[]} */
export const markdownFences = (text) => fencesOfLines(text.split(/\r?\n/), 1)

/**
 * The fences of a source file's doc comments, and the lines of those `@example` tags that have none.
 *
 * @param {string} text
 * @returns {{ fences: Fence[], empty: number[] }}
 */
export const docCommentFences = (text) => {
  const lines = text.split(/\r?\n/)
  const fences = []
  const empty = []
  for (let i = 0; i < lines.length; i++) {
    if (!lines[i].trimStart().startsWith('/**')) continue
    const start = i
    while (i < lines.length - 1 && !lines[i].includes('*/')) i++
    const comment = lines.slice(start, i + 1).map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*) ?/, ''))
    const here = fencesOfLines(comment, start + 1)
    fences.push(...here)
    const examples = comment.flatMap((line, at) => (line.startsWith('@example') ? [start + 1 + at] : []))
    for (const [k, line] of examples.entries()) {
      const next = examples[k + 1] ?? Number.POSITIVE_INFINITY
      if (!here.some((fence) => fence.line > line && fence.line < next)) empty.push(line)
    }
  }
  return { fences, empty }
}
