import { applyRecipe, dequantize, get, loftq, lora, param, quantize, requantize, sllm } from '../../../src/index.ts'
import type { Param, QuantizedAs } from '../../../src/index.ts'
import type { AnyTransform, Declaration, Formula, TransformLaw } from '../../../src/laws/index.ts'
import { merging } from '../../../src/laws/index.ts'
import { normal } from '../../../src/ops/index.ts'
import { key } from '../../../src/tree/key.ts'
import { quantizeValues } from '../../../src/weight/quantized.ts'
import { Net, Plain } from '../row.ts'
import type { Row } from '../row.ts'
import type { KindOptions } from './index.ts'
import {
  errorWithinHalfGap,
  idempotentOnCodes,
  packedPlaces,
  reportsItsLoss,
  roundsToNearestHalf,
  scaleEquivariant,
  tiesGoLower,
  zerosStayZero,
} from './quantize-laws.ts'

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
const rounding = [roundsToNearestHalf, idempotentOnCodes, zerosStayZero]
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
  row('quantize to bf16', { scheme: 'bf16' }, '**', rounding, { dims: wide }),
  row('quantize to f16', { scheme: 'f16' }, '**', rounding, { dims: wide }),
  {
    name: 'quantize.tables in halves',
    covers: [],
    transform: quantize.tables({ at: '**.token_embdgs', scheme: 'bf16' }) as AnyTransform,
    on: sllm,
    declare: { ...quantizing, touches: '**.token_embdgs' },
    also: [roundsToNearestHalf, idempotentOnCodes],
  },
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
  qlora('LoRA on bf16', { scheme: 'bf16' }),
  qlora('LoRA on f16', { scheme: 'f16' }),
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
  Bf16: drawnQuantized({ scheme: 'bf16' }, 'matrix'),
  F16: drawnQuantized({ scheme: 'f16' }, 'table'),
}
