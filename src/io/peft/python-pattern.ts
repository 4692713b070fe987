/** A regular expression of JavaScript, or why there is none that means the same. */
export type Translated = { readonly source: string; readonly flags: string } | { readonly problem: string }

// What may follow a backslash with the same meaning on both sides.
const sameEscapes = /^[dDwWsSbBnrtfv0-9]$/
const syntax = /^[\^$\\.*+?()[\]{}|/]$/

const escape = (next: string, inClass: boolean): string | undefined => {
  if (sameEscapes.test(next) || next === 'x' || next === 'u') return `\\${next}`
  if (next === 'A' && !inClass) return '^'
  if (next === 'Z' && !inClass) return '$'
  if (next === 'a') return '\\x07'
  if (syntax.test(next) || (next === '-' && inClass)) return `\\${next}`
  return /^[A-Za-z]?$/.test(next) ? undefined : next
}

/** What stands at the beginning of a pattern: how long it is there, and what it is here. */
interface Piece {
  readonly length: number
  readonly to: string
  readonly flags?: string
  readonly inClass?: boolean
}

const same = (text: string): Piece => ({ length: text.length, to: text })
const problem = (what: string): { readonly problem: string } => ({ problem: what })

/** A group that opens with a question mark. */
const group = (rest: string, isFirst: boolean): Piece | { readonly problem: string } => {
  const global = /^\(\?([aius]+)\)/.exec(rest)
  if (global !== null && isFirst)
    return { length: global[0].length, to: '', flags: ['i', 's'].filter((flag) => global[1]?.includes(flag)).join('') }
  const named = /^\(\?P<([A-Za-z_]\w*)>/.exec(rest)
  if (named !== null) return { length: named[0].length, to: `(?<${named[1]}>` }
  const back = /^\(\?P=([A-Za-z_]\w*)\)/.exec(rest)
  if (back !== null) return { length: back[0].length, to: `\\k<${back[1]}>` }
  const comment = /^\(\?#[^)]*\)/.exec(rest)
  if (comment !== null) return { length: comment[0].length, to: '' }
  const plain = /^\(\?(?::|=|!|<=|<!)/.exec(rest)
  return plain === null ? problem(`the group ${rest.slice(0, 4)}…`) : same(plain[0])
}

/** Braces that count; others stand for themselves in Python. */
const braces = (rest: string): Piece | { readonly problem: string } => {
  const [counted = '', least, comma, most] = /^\{(\d*)(,?)(\d*)\}/.exec(rest) ?? []
  if (counted === '' || counted === '{}' || counted === '{,}') return { length: 1, to: '\\{' }
  if (rest[counted.length] === '+') return problem('a possessive quantifier')
  return { length: counted.length, to: `{${least === '' ? '0' : least}${comma}${most}}` }
}

const pieceOf = (rest: string, inClass: boolean, isFirst: boolean): Piece | { readonly problem: string } => {
  const c = rest[0] ?? ''
  if (c === '\\') {
    const to = escape(rest[1] ?? '', inClass)
    return to === undefined ? problem(`the escape \\${rest[1] ?? ''}`) : { length: 2, to }
  }
  if (inClass) return c === ']' ? { ...same(c), inClass: false } : same(c)
  if (c === '[') {
    // A bracket that comes first is one of the class.
    const [opening = '', not = '', first = ''] = /^\[(\^?)(\]?)/.exec(rest) ?? []
    return { length: opening.length, to: `[${not}${first === '' ? '' : '\\]'}`, inClass: true }
  }
  if (rest.startsWith('(?')) return group(rest, isFirst)
  if (c === '{') return braces(rest)
  if (/^[*+?]\+/.test(rest)) return problem('a possessive quantifier')
  return c === '}' || c === ']' ? { length: 1, to: `\\${c}` } : same(c)
}

/**
 * A pattern of Python's `re` as one of JavaScript that matches the same names; what only one of the two knows is translated
 * where that is simple, and refused where it is not.
 */
export const fromPython = (pattern: string): Translated => {
  let [source, flags, inClass, at] = ['', 'u', false, 0]
  while (at < pattern.length) {
    const piece = pieceOf(pattern.slice(at), inClass, at === 0)
    if ('problem' in piece) return piece
    source += piece.to
    flags += piece.flags ?? ''
    inClass = piece.inClass ?? inClass
    at += piece.length
  }
  return { source, flags }
}
