import {
  context,
  dequantize,
  isPacked,
  loftq,
  lora,
  materialize,
  places,
  quantize,
  requantize,
} from '../../../src/index.ts'
import { applyRecipe, get, isParam, mapLeaves, param, sllm, withValue } from '../../../src/index.ts'
import type { Param, Quantized, QuantizedAs } from '../../../src/index.ts'
import type { AnyTransform, Declaration, Formula, TransformLaw } from '../../../src/laws/index.ts'
import { every, merging, structural, vacuous, verdict } from '../../../src/laws/index.ts'
import { mul, nf4Map, normal, read, tensor } from '../../../src/ops/index.ts'
import { key } from '../../../src/tree/key.ts'
import { quantizeValues } from '../../../src/weight/quantized.ts'
import { Net, Plain } from '../row.ts'
import type { Row } from '../row.ts'
import type { KindOptions } from './index.ts'

const packedPlaces = (model: unknown) =>
  [...places(model)].flatMap((p) => (isPacked(p.node) ? [{ path: p.path.join('.'), node: p.node as Quantized }] : []))

/** Dense numbers [rows, columns] in the order of the codes: a matrix is held by its outputs. */
const held = (data: ArrayLike<number>, { form, rows, columns }: Quantized): readonly number[] =>
  Array.from({ length: data.length }, (_, i) =>
    form === 'table' ? data[i]! : data[(i % rows) * columns + Math.floor(i / rows)]!,
  )

const denseOf = (node: Quantized): readonly number[] => held(read(materialize(node, context())), node)

// Half of the widest gap of a code book, in units of the scale.
const halfGap = { Nf4: (nf4Map[1]! - nf4Map[0]!) / 2, Int8: 0.5 / 127 } as const

/** Law 55: no number is moved by more than half the widest gap, whatever the shape. */
export const errorWithinHalfGap: TransformLaw = structural({
  name: 'errorWithinHalfGap',
  says: 'No weight moves by more than half the widest gap of its codes times the largest of its block.',
  equality: 'tolerance',
  check: ({ model, transform }) => {
    const all = packedPlaces(transform(model))
    if (all.length === 0) return vacuous('nothing was quantised')
    return every(all, ({ path, node }) => {
      const before = held(read((get(model as never, path as never) as Param).value), node)
      const length = node._tag === 'Int8' ? (node.form === 'table' ? node.columns : node.rows) : 64
      const after = denseOf(node)
      const wrong = before.findIndex((x, i) => {
        const from = Math.floor(i / length) * length
        const most = Math.max(...before.slice(from, from + length).map(Math.abs))
        return !(Math.abs(x - after[i]!) <= halfGap[node._tag === 'Int8' ? 'Int8' : 'Nf4'] * most * (1 + 1e-5))
      })
      return verdict(wrong < 0, `number ${wrong} of ${path} was ${before[wrong]} and is ${after[wrong]}`)
    })
  },
})

const codes = (model: unknown): string =>
  packedPlaces(model)
    .map(({ path, node }) => `${path}: ${read(node.codes.value).join()}`)
    .join('\n')

/** Law 56: what is dequantised has the codes it came from. */
export const idempotentOnCodes: TransformLaw = structural({
  name: 'idempotentOnCodes',
  says: 'Quantised again after dequantising, every code is the same.',
  equality: 'bitwise',
  check: ({ model, transform }) => {
    const once = transform(model)
    const again = transform(dequantize(once))
    return verdict(codes(once) === codes(again), 'a code has changed')
  },
})

const scaled = (model: unknown, factor: number): unknown =>
  mapLeaves(model, (leaf) => (isParam(leaf) ? withValue(leaf, mul(leaf.value, factor)) : leaf))

/** Law 57: powers of two go through to the scales. */
export const scaleEquivariant: TransformLaw = structural({
  name: 'scaleEquivariant',
  says: 'A model times a power of two has the same codes, and stands for its weights times that power.',
  equality: 'bitwise',
  check: ({ model, transform }) =>
    every([2 ** -20, 0.5, 2, 2 ** 20], (factor) => {
      const [one, other] = [transform(model), transform(scaled(model, factor))]
      const [a, b] = [one, other].map((m) => packedPlaces(m).flatMap(({ node }) => denseOf(node)))
      return verdict(
        codes(one) === codes(other) && a!.every((x, i) => x * factor === b![i]),
        `times ${factor}, a code or a value is another`,
      )
    }),
})

/** The model with other numbers in its first matrix, as many as it has. */
const planted = (model: unknown, values: (i: number) => number): { readonly model: unknown; readonly path: string } => {
  const place = [...places(model)].find(({ node }) => isParam(node) && node.form === 'matrix')!
  const leaf = place.node as Param
  const data = Float32Array.from({ length: leaf.value.size }, (_, i) => values(i))
  return {
    model: mapLeaves(model, (l) => (l === leaf ? withValue(leaf, tensor(data, leaf.value.shape)) : l)),
    path: place.path.join('.'),
  }
}

const valuesAt = (model: unknown, path: string): readonly number[] => {
  const found = packedPlaces(model).find((p) => p.path === path)
  return found === undefined ? [] : [...read(materialize(found.node, context()))]
}

/** A tie between two codes goes to the lower one, as in bitsandbytes' kernels: only so are the bytes the same. */
export const tiesGoLower: TransformLaw = structural({
  name: 'tiesGoLower',
  says: 'A number halfway between two values of NF4 gets the code of the lower one.',
  equality: 'bitwise',
  check: ({ model, transform }) => {
    const middle = Math.fround((nf4Map[9]! + nf4Map[10]!) / 2)
    const tied = planted(model, (i) => (i % 2 === 0 ? 1 : middle))
    const found = valuesAt(transform(tied.model), tied.path)
    if (found.length < 2) return vacuous('too small for a tie')
    return verdict(found[1] === nf4Map[9], `${middle} became ${found[1]} instead of ${nf4Map[9]}`)
  },
})

/** A block of zeros has no largest number to divide by. */
export const zerosStayZero: TransformLaw = structural({
  name: 'zerosStayZero',
  says: 'A weight of zeros stands for zeros, not for NaN.',
  equality: 'exact',
  check: ({ model, transform }) => {
    const nothing = planted(model, () => 0)
    const found = valuesAt(transform(nothing.model), nothing.path)
    return verdict(
      found.every((x) => x === 0),
      `a zero became ${found.find((x) => x !== 0)}`,
    )
  },
})

const reportOf = (tuned: unknown) => requantize(tuned as object)

/** Law 58: quantising a merged weight is lossy, and the report says by how much. */
export const reportsItsLoss: TransformLaw = structural({
  name: 'reportsItsLoss',
  says: 'requantize reports the error of each weight, and how much of the change is left, as plain numbers say.',
  equality: 'tolerance',
  check: ({ model }) => {
    const { model: after, weights } = reportOf(model)
    if (weights.length === 0) return vacuous('nothing was requantised')
    return every(weights, ({ path, error, change, kept }) => {
      const values = (m: unknown, bare = false): readonly number[] => {
        const node = [...places(m)].filter((p) => p.path.join('.') === path).at(bare ? -1 : 0)!.node
        return [...read(materialize(node as never, context()))]
      }
      const [old, merged, now] = [values(model, true), values(model), values(after)]
      const norm = (x: readonly number[]): number => Math.sqrt(x.reduce((n, v) => n + v * v, 0))
      const minus = (a: readonly number[], b: readonly number[]): readonly number[] => a.map((x, i) => x - b[i]!)
      const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((n, x, i) => n + x * b[i]!, 0)
      const delta = minus(merged, old)
      const want = [
        norm(minus(now, merged)) / norm(merged),
        norm(delta) / norm(old),
        dot(minus(now, old), delta) / dot(delta, delta),
      ]
      const found = [error, change, kept]
      return verdict(
        found.every((x, i) => Math.abs(x - want[i]!) <= 1e-6 * Math.max(1, Math.abs(want[i]!))),
        `${path} reports ${found.join(', ')} where it is ${want.join(', ')}`,
      )
    })
  },
})

const quantizing: Partial<Declaration> = {
  init: 'changes',
  merge: 'none',
  detach: 'none',
  twice: 'refused',
  // It stands for as many parameters as it was made of.
  adds: () => 0,
}

const row = (
  name: string,
  how: QuantizedAs,
  at: string,
  also: readonly TransformLaw[],
  more: Partial<Row> = {},
): Row => ({
  name,
  covers: ['quantize'],
  transform: quantize({ at: at as '**', ...how }) as AnyTransform,
  on: Net,
  declare: { ...quantizing, ...(at === '**' ? {} : { touches: at }) },
  also,
  ...more,
})

// More than a block, a block across rows, and tails.
const wide = { in: [2, 23], hidden: [2, 23], out: [1, 9] } as const
const single = [errorWithinHalfGap, idempotentOnCodes, scaleEquivariant, zerosStayZero]
const nf4 = [...single, tiesGoLower]

const steps =
  (...all: readonly AnyTransform[]): AnyTransform =>
  (model) =>
    all.reduce<unknown>((m, step) => step(m as never), model)

const to = (how: QuantizedAs): AnyTransform => quantize({ at: '**.fc1' as '**', ...how }) as AnyTransform

const loraAdds = (model: unknown): number => {
  const { rows, columns } = packedPlaces(model)[0]!.node
  return 2 * (rows + columns)
}

const rows = (x: unknown): readonly (readonly number[])[] => x as readonly (readonly number[])[]
const qloraFormula: Formula = (node, base, read_) => {
  const [a, b] = [rows(read_(node['a'])), rows(read_(node['b']))]
  return base.map((row_, i) => row_.map((w, j) => w + a[i]!.reduce((n, x, k) => n + x * b[k]![j]!, 0)))
}

const qlora = (name: string, how: QuantizedAs): Row => ({
  name,
  covers: [],
  transform: lora({ at: '**.fc1', rank: 2 }) as AnyTransform,
  on: Net,
  given: to(how),
  declare: { touches: '**.fc1', adds: loraAdds },
  formulas: { Lora: qloraFormula },
  // The values of the codes are no dyadic numbers.
  within: 2 ** -20,
})

/** The rows of quantisation and of what stands on it. */
export const quantizeRows: readonly Row[] = [
  row('quantize to NF4', {}, '**', nf4, { dims: wide }),
  row('quantize one layer to NF4', {}, '**.fc1', single),
  // Codes of scales move when they are quantised again (98.8-100 % stay), so that it is not idempotent to the last bit.
  row('quantize to NF4 with double quantisation', { doubleQuant: true }, '**', [scaleEquivariant, zerosStayZero], {
    dims: wide,
  }),
  row('quantize to int8', { scheme: 'int8' }, '**', single, { dims: wide }),
  {
    name: 'quantize.tables',
    covers: [],
    transform: quantize.tables({ at: '**.token_embdgs' }) as AnyTransform,
    on: sllm,
    declare: { ...quantizing, touches: '**.token_embdgs' },
    also: [errorWithinHalfGap, idempotentOnCodes, scaleEquivariant],
  },
  {
    name: 'dequantize',
    covers: ['dequantize'],
    transform: dequantize,
    on: Plain,
    given: quantize({ at: '**' }) as AnyTransform,
    declare: { ...merging, adds: () => 0 },
  },
  {
    name: 'dequantize.only, under an adapter',
    covers: ['dequantize.only'],
    transform: dequantize.only({ at: '**.fc1' }) as AnyTransform,
    on: Plain,
    given: steps(quantize({ at: '**' }) as AnyTransform, lora({ at: '**.fc1', rank: 2 }) as AnyTransform),
    declare: { ...merging, twice: 'refused', touches: '**.fc1', adds: () => 0 },
  },
  qlora('QLoRA on NF4', {}),
  qlora('QLoRA with double quantisation', { doubleQuant: true }),
  qlora('LoRA on int8', { scheme: 'int8' }),
  {
    name: 'QLoRA on the SLLM, tables too',
    covers: [],
    transform: lora({ at: '**', rank: 2, alpha: 2, scaling: 'alpha/rank' }) as AnyTransform,
    on: sllm,
    given: steps(quantize({ at: '**' }) as AnyTransform, quantize.tables({ at: '**' }) as AnyTransform),
    declare: {},
    within: 2 ** -20,
    formulas: { Lora: qloraFormula },
  },
  {
    name: 'a recipe that quantises',
    covers: [],
    transform: applyRecipe([{ quantize: { at: '**', doubleQuant: true } }, { lora: { at: '**.fc1', rank: 2 } }]),
    on: Net,
    declare: { ...quantizing, twice: 'refused', adds: (model) => 2 * shapeOfFc1(model) },
  },
  {
    name: 'requantize',
    covers: ['requantize'],
    transform: (model: never) => requantize(model).model,
    on: Plain,
    given: steps(quantize({ at: '**' }) as AnyTransform, lora({ at: '**', rank: 2 }) as AnyTransform),
    declare: { ...merging, init: 'changes' },
    also: [reportsItsLoss],
  },
]

const shapeOfFc1 = (model: unknown): number =>
  (get(model as never, 'fc1.weight' as never) as Param).value.shape.reduce((n, length) => n + length, 0)

const fc1Adds = (model: unknown): number => 2 * shapeOfFc1(model)

const loftqRow = (name: string, options: Parameters<typeof loftq.unchecked>[0]): Row => ({
  name,
  covers: ['loftq'],
  transform: loftq.unchecked(options) as AnyTransform,
  on: Net,
  // What was there is nowhere any more, so that detach cannot give it back; the sum of codes and factors merges.
  declare: { ...quantizing, merge: 'exact', touches: '**.fc1', adds: fc1Adds },
  formulas: { Lora: loftqFormula },
  within: 2 ** -20,
})

const loftqFormula: Formula = (node, base, read_) => {
  const half = rows(read_(node['a'])).map((row_) => row_.map((x) => x * Number(node['alpha'])))
  return qloraFormula({ ...node, a: half }, base, (leaf) => (leaf === half ? half : read_(leaf)))
}

/** The rows of LoftQ, which quantises and adapts at once. */
export const loftqRows: readonly Row[] = [
  loftqRow('loftq', { at: '**.fc1', rank: 2, alpha: 0.5 }),
  loftqRow('loftq in three rounds on int8', { at: '**.fc1', rank: 2, scheme: 'int8', iterations: 3 }),
]

const drawnQuantized = (how: QuantizedAs, form: 'matrix' | 'table'): KindOptions => ({
  dims: { in: [1, 20], out: [1, 20] },
  inexact: true,
  make: (dims, seed) => {
    const { label, value } = param(form, 'w', normal(key(seed), [dims['in'] ?? 1, dims['out'] ?? 1]))
    return quantizeValues(value, { label, form }, how)
  },
})

/** How weights in few bits are drawn. */
export const quantizeKinds: Readonly<Record<string, KindOptions>> = {
  Nf4: drawnQuantized({}, 'matrix'),
  Nf4Double: drawnQuantized({ doubleQuant: true }, 'table'),
  Int8: drawnQuantized({ scheme: 'int8' }, 'matrix'),
}
