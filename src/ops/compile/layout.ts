import type { Tensor } from '../../tree/tensor.ts'
import { isTensor } from '../../tree/tensor.ts'

/** What a value is made of: its tensors, everything else of it in a string, and the objects on the way to them. */
export interface Layout {
  /** Equal for two values that differ in the elements of their tensors alone. */
  readonly signature: string
  /** Each tensor once, in the order met. */
  readonly tensors: readonly Tensor[]
  /** Each object once, tensors too, in the order met: the same place in every value of one signature. */
  readonly objects: readonly object[]
}

// Longer data is compared faster by running the function than by its signature.
const longest = 4096

const identities = new WeakMap<object, number>()
let known = 0

/** A number for a function or an object that is more than data: two of them are never taken for the same. */
const identityOf = (x: object): number => {
  if (!identities.has(x)) identities.set(x, (known += 1))
  return identities.get(x)!
}

const isPlain = (x: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(x)
  return prototype === Object.prototype || prototype === null
}

/** The layout of a value, or in one sentence why it has none. */
export const layoutOf = (value: unknown): Layout | string => {
  const parts: string[] = []
  const places = new Map<object, number>()
  const tensors: Tensor[] = []
  // An explicit stack, for deep data: what is to be visited, and what is written before it.
  const waiting: unknown[] = [value]
  const before = ['']
  const later = (text: string, x: unknown): void => {
    before.push(text)
    waiting.push(x)
  }
  const all = (items: readonly unknown[]): void => {
    later(')', nothing)
    for (let i = items.length - 1; i >= 0; i--) later('', items[i])
  }
  while (waiting.length > 0) {
    parts.push(before.pop()!)
    const x = waiting.pop()
    if (x === nothing) continue
    // Two of them may say the same of themselves.
    if (typeof x === 'symbol') return 'a symbol among its arguments'
    if (typeof x !== 'object' || x === null) parts.push(primitive(x))
    else if (places.has(x)) parts.push(`@${places.get(x)},`)
    else {
      places.set(x, places.size)
      if (isTensor(x)) {
        tensors.push(x)
        parts.push(`${x.dtype}[${x.shape.join()}]`)
      } else if (Array.isArray(x)) {
        if (Object.keys(x).length !== x.length)
          return 'an array with holes, or with fields of its own, among its arguments'
        parts.push('(')
        all(x)
      } else if (ArrayBuffer.isView(x)) {
        const data = x as unknown as ArrayLike<number> & { readonly constructor: { readonly name: string } }
        if (!(data.length <= longest)) return `an array of ${data.length} numbers among its arguments`
        parts.push(`${data.constructor.name}<${Array.from(data, primitive).join('')}>`)
      } else if (x instanceof Map || x instanceof Set) {
        parts.push(x instanceof Map ? 'map(' : 'set(')
        all(x instanceof Map ? [...x].flat() : [...x])
      } else if (isPlain(x)) {
        if (Object.getOwnPropertySymbols(x).length > 0) return 'a field named by a symbol among its arguments'
        parts.push('{')
        later('}', nothing)
        const keys = Object.keys(x)
        for (let i = keys.length - 1; i >= 0; i--)
          later(JSON.stringify(keys[i]), (x as Readonly<Record<string, unknown>>)[keys[i]!])
      } else parts.push(`#${identityOf(x)},`)
    }
  }
  return { signature: parts.join(''), tensors, objects: [...places.keys()] }
}

/** Stands where only text is to be written. */
const nothing = Symbol('nothing')

const primitive = (x: unknown): string => {
  if (typeof x === 'function') return `#${identityOf(x)},`
  if (typeof x === 'string') return JSON.stringify(x)
  return Object.is(x, -0) ? '-0,' : `${typeof x === 'bigint' ? 'n' : ''}${String(x)},`
}

/** Everything that a value holds in arrays, records, Maps and Sets, these left out: what `replaceIn` would come by. */
export const partsOf = (value: unknown): ReadonlySet<unknown> => {
  const [seen, found] = [new Set<unknown>(), new Set<unknown>()]
  const waiting = [value]
  while (waiting.length > 0) {
    const x = waiting.pop()
    if (seen.has(x)) continue
    seen.add(x)
    if (typeof x !== 'object' || x === null || isTensor(x) || ArrayBuffer.isView(x)) found.add(x)
    else if (Array.isArray(x) || x instanceof Set) waiting.push(...(x as Iterable<unknown>))
    else if (x instanceof Map) waiting.push(...[...x].flat())
    else if (isPlain(x)) waiting.push(...Object.values(x))
    else found.add(x)
  }
  return found
}

/** What to put in the place of an object; undefined to go on inside of it. */
export type Replace = (x: object) => { readonly by: unknown } | undefined

/**
 * A copy of a value in which some objects are replaced; what holds none of those is the same object as before.
 *
 * An object that stands in two places stands in both afterwards.
 */
export const replaceIn = (value: unknown, replace: Replace): unknown => {
  const done = new Map<object, unknown>()
  const visit = (x: unknown): unknown => {
    if (typeof x !== 'object' || x === null || ArrayBuffer.isView(x)) return x
    if (!done.has(x)) {
      const found = replace(x)
      done.set(x, found === undefined ? inside(x) : found.by)
    }
    return done.get(x)
  }
  const inside = (x: object): unknown => {
    if (Array.isArray(x)) return changed(x, x, x.map(visit), (all) => all)
    if (x instanceof Set) return changed(x, [...x], [...x].map(visit), (all) => new Set(all))
    if (x instanceof Map)
      return changed(x, [...x].flat(), [...x].flat().map(visit), (all) => new Map(pairs(all) as [unknown, unknown][]))
    if (!isPlain(x)) return x
    const [keys, values] = [Object.keys(x), Object.values(x)]
    return changed(x, values, values.map(visit), (all) => Object.fromEntries(keys.map((key, i) => [key, all[i]])))
  }
  return visit(value)
}

const changed = (
  whole: object,
  before: readonly unknown[],
  after: readonly unknown[],
  build: (parts: readonly unknown[]) => object,
): object => {
  if (before.every((x, i) => Object.is(x, after[i]))) return whole
  const copy = build(after)
  return Object.isFrozen(whole) ? Object.freeze(copy) : copy
}

const pairs = (list: readonly unknown[]): readonly (readonly unknown[])[] =>
  list.flatMap((x, i) => (i % 2 === 0 ? [[x, list[i + 1]]] : []))
