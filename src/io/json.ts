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

const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g

/** What a parser lets pass in silence: a key that stands twice in one object, and nesting that a recursion could not follow. */
const inspect = (text: string, path: string): void => {
  const open: (Set<string> | null)[] = []
  let last = ''
  for (const [found] of text.matchAll(token)) {
    if (found === '{') open.push(new Set())
    else if (found === '[') open.push(null)
    else if (found === '}' || found === ']') open.pop()
    else if (found === ':') {
      const keys = open.at(-1)
      const key = JSON.parse(last) as string
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
    if (open.length > deepest)
      reject('BadJson', path, `at most ${deepest} levels`, 'more', 'No model is as deep as that.')
    last = found
  }
}

/** Reads JSON strictly: no key twice in one object, no endless nesting. */
export const parseJson = (text: string, path: string): unknown => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    reject('BadJson', path, 'JSON', (error as Error).message, 'The file is cut off, or no JSON at all.')
  }
  inspect(text, path)
  return value
}

/** Bytes as text; what is not UTF-8 is refused. */
export const decodeUtf8 = (bytes: Uint8Array, path: string): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return reject('BadJson', path, 'text in UTF-8', 'bytes that are not', 'The file is damaged, or no text at all.')
  }
}
