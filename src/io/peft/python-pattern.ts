/** A regular expression of JavaScript, or why there is none that means the same. */
export type Translated = { readonly source: string; readonly flags: string } | { readonly problem: string }

// What may follow a backslash with the same meaning on both sides.
const sameEscapes = /^[dDwWsSbBnrtfv0-9]$/
const syntax = /^[\^$\\.*+?()[\]{}|/]$/
const refused = (problem: string): Translated => ({ problem })

const escape = (next: string, inClass: boolean): string | undefined => {
  if (sameEscapes.test(next) || next === 'x' || next === 'u') return `\\${next}`
  if (next === 'A' && !inClass) return '^'
  if (next === 'Z' && !inClass) return '$'
  if (next === 'a') return '\\x07'
  if (syntax.test(next) || (next === '-' && inClass)) return `\\${next}`
  return /^[A-Za-z]?$/.test(next) ? undefined : next
}

/**
 * A pattern of Python's `re` as one of JavaScript that matches the same names; what only one of the two knows is translated
 * where that is simple, and refused where it is not.
 */
export const fromPython = (pattern: string): Translated => {
  let source = ''
  let flags = 'u'
  let rest = pattern
  let inClass = false
  const take = (length: number, as: string): void => {
    source += as
    rest = rest.slice(length)
  }
  while (rest !== '') {
    const c = rest[0] ?? ''
    if (c === '\\') {
      const to = escape(rest[1] ?? '', inClass)
      if (to === undefined) return refused(`the escape \\${rest[1] ?? ''}`)
      take(2, to)
    } else if (inClass) {
      if (c === ']') inClass = false
      take(1, c)
    } else if (c === '[') {
      inClass = true
      // A bracket that comes first is one of the class.
      const [opening = '', not = '', first = ''] = /^\[(\^?)(\]?)/.exec(rest) ?? []
      take(opening.length, `[${not}${first === '' ? '' : '\\]'}`)
    } else if (c === '(' && rest[1] === '?') {
      const global = /^\(\?([aius]+)\)/.exec(rest)
      const named = /^\(\?P<([A-Za-z_]\w*)>/.exec(rest)
      const back = /^\(\?P=([A-Za-z_]\w*)\)/.exec(rest)
      const comment = /^\(\?#[^)]*\)/.exec(rest)
      const plain = /^\(\?(?::|=|!|<=|<!)/.exec(rest)
      if (global !== null && source === '') {
        for (const flag of ['i', 's']) if (global[1]?.includes(flag)) flags += flags.includes(flag) ? '' : flag
        take(global[0].length, '')
      } else if (named !== null) take(named[0].length, `(?<${named[1]}>`)
      else if (back !== null) take(back[0].length, `\\k<${back[1]}>`)
      else if (comment !== null) take(comment[0].length, '')
      else if (plain !== null) take(plain[0].length, plain[0])
      else return refused(`the group ${rest.slice(0, 4)}…`)
    } else if (c === '{') {
      const [counted, least, comma, most] = /^\{(\d*)(,?)(\d*)\}/.exec(rest) ?? []
      // Braces that count nothing stand for themselves in Python.
      if (counted === undefined || counted === '{}' || counted === '{,}') take(1, '\\{')
      else if (/^[+]/.test(rest.slice(counted.length))) return refused('a possessive quantifier')
      else take(counted.length, `{${least === '' ? '0' : least}${comma}${most}}`)
    } else if (/^[*+?]\+/.test(rest)) return refused('a possessive quantifier')
    else take(1, c === '}' || c === ']' ? `\\${c}` : c)
  }
  return { source, flags }
}
