import type { Json } from '../json.ts'

// Python writes nothing but ASCII.
const ascii = (text: string): string =>
  JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** A number as `repr` of Python has a float: the shortest digits as here, but a point or an exponent always, and that of two digits. */
const float = (x: number): string => {
  const size = Math.abs(x)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return x.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  return Number.isInteger(x) ? `${x}.0` : String(x)
}

/** JSON as `json.dumps(value, indent=2, sort_keys=True)` of Python has it, where `isFloat` tells which of an object's own keys hold floats. */
export const pythonJson = (value: Json, isFloat: (key: string) => boolean = () => false, indent = ''): string => {
  if (typeof value === 'string') return ascii(value)
  if (typeof value === 'number' && !Number.isInteger(value)) return float(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const deeper = `${indent}  `
  const under = (child: Json, key = ''): string =>
    typeof child === 'number' && isFloat(key) ? float(child) : pythonJson(child, undefined, deeper)
  const lines = Array.isArray(value)
    ? (value as readonly Json[]).map((child) => deeper + under(child))
    : Object.entries(value)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, child]) => `${deeper}${ascii(key)}: ${under(child, key)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return lines.length === 0 ? `${open}${close}` : `${open}\n${lines.join(',\n')}\n${indent}${close}`
}

/** Whether a key of a configuration of PEFT holds a float, so that a zero there is `0.0`. */
export const isFloatOfPeft = (key: string): boolean =>
  key.endsWith('_dropout') || ['beta1', 'beta2', 'd_initial', 'eps', 'orth_reg_weight', 'scaling'].includes(key)
