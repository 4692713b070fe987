import { reject } from './issues.ts'

/** JSON as it comes and goes. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

// Deeper than any model, shallower than any stack.
const deepest = 500
const widest = 160

const isFlat = (value: Json): boolean =>
  typeof value !== 'object' || value === null || (Array.isArray(value) && value.every((v) => typeof v !== 'object'))

/** On one line, as a tensor's entry is read best. */
const inline = (value: Json): string => {
  // JSON.stringify would write 0 for -0, which is another number.
  if (Object.is(value, -0)) return '-0'
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(inline).join(', ')}]`
  const fields = Object.entries(value).map(([key, child]) => `${JSON.stringify(key)}: ${inline(child)}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}

/** The one text of a JSON value: two spaces a level, what is short on one line. */
export const writeJson = (value: Json, indent = ''): string => {
  if (typeof value !== 'object' || value === null) return inline(value)
  const children = Object.values(value) as readonly Json[]
  if (children.every(isFlat)) {
    const line = inline(value)
    if (line.length <= widest || Array.isArray(value)) return line
  }
  const deeper = `${indent}  `
  const lines = Array.isArray(value)
    ? children.map((child) => deeper + writeJson(child, deeper))
    : Object.entries(value).map(([key, child]) => `${deeper}${JSON.stringify(key)}: ${writeJson(child, deeper)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${lines.join(',\n')}\n${indent}${close}`
}

const [quote, backslash, colon, openList, closeList, openObject, closeObject] = Array.from('"\\:[]{}', (c) =>
  c.charCodeAt(0),
)

/** Where a string ends that begins at `from`: after its closing quote, or at the end of the text. */
const afterString = (text: string, from: number): number => {
  for (let i = from + 1; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === backslash) i++
    else if (c === quote) return i + 1
  }
  return text.length
}

/** Two spellings of a key are one key. What is no JSON is left to the parser to complain about. */
const keyOf = (spelt: string): string => {
  try {
    return spelt.includes('\\') ? (JSON.parse(spelt) as string) : spelt.slice(1, -1)
  } catch {
    return spelt
  }
}

/**
 * What a parser lets pass in silence: a key that stands twice in one object, and nesting that a recursion could not follow.
 *
 * By character and before anything is parsed, for lists in lists take twenty times the memory of their text.
 */
const inspect = (text: string, path: string): void => {
  const open: (Set<string> | null)[] = []
  let last = ''
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === quote) {
      const end = afterString(text, i)
      last = text.slice(i, end)
      i = end - 1
    } else if (c === openObject || c === openList) {
      open.push(c === openObject ? new Set() : null)
      if (open.length > deepest)
        reject('BadJson', path, `at most ${deepest} levels`, 'more', 'No model is as deep as that.')
    } else if (c === closeObject || c === closeList) open.pop()
    else if (c === colon) {
      const keys = open.at(-1)
      const key = keyOf(last)
      if (keys?.has(key))
        reject(
          'BadJson',
          path,
          'each key once in an object',
          `${last.slice(0, 80)} twice`,
          'Another program wrote this file wrongly.',
        )
      keys?.add(key)
    }
  }
}

/** Reads JSON strictly: no key twice in one object, no endless nesting. */
export const parseJson = (text: string, path: string): unknown => {
  inspect(text, path)
  try {
    return JSON.parse(text)
  } catch (error) {
    return reject('BadJson', path, 'JSON', (error as Error).message, 'The file is cut off, or no JSON at all.')
  }
}

/** Bytes as text; what is not UTF-8 is refused. */
export const decodeUtf8 = (bytes: Uint8Array, path: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return reject('BadJson', path, 'text in UTF-8', 'bytes that are not', 'The file is damaged, or no text at all.')
  }
}
