import type { Json } from '../json.ts'

// Python writes nothing but ASCII.
const ascii = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** JSON as `json.dumps(value, indent=2, sort_keys=True)` of Python has it. */
export const pythonJson = (value: Json, indent = ''): string => {
  if (typeof value === 'string') return ascii(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const deeper = `${indent}  `
  const lines = Array.isArray(value)
    ? (value as readonly Json[]).map((child) => deeper + pythonJson(child, deeper))
    : Object.entries(value)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, child]) => `${deeper}${ascii(key)}: ${pythonJson(child, deeper)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return lines.length === 0 ? `${open}${close}` : `${open}\n${lines.join(',\n')}\n${indent}${close}`
}
