import { isParam, lora, materialize, context, merge, places, quantize, replaceAt, requantize } from '../../src/index.ts'
import type { Param, Quantized, QuantizedAs } from '../../src/index.ts'
import type { AnyTransform } from '../../src/laws/index.ts'
import { countsAdd, keepsTies, leaksNothing, mergePreservesOutputs } from '../../src/laws/index.ts'
import { adopt, nf4Map, read, transpose } from '../../src/ops/index.ts'
import { constant } from '../../src/tree/leaf.ts'
import { quantizeValues } from '../../src/weight/quantized.ts'
import {
  errorWithinHalfGap,
  idempotentOnCodes,
  roundsToNearestHalf,
  scaleEquivariant,
  tiesGoLower,
  zerosStayZero,
} from '../laws/methods/quantize-laws.ts'
import { onNet } from './broken.ts'
import type { Fault } from './broken.ts'

/** Quantises every matrix, and lets `spoil` have a go at each. */
const by =
  (spoil: (node: Quantized, weight: Param) => Quantized, how: QuantizedAs = {}) =>
  (model: unknown): unknown =>
    replaceAt(
      model,
      [...places(model)].flatMap(({ node, route }) =>
        isParam(node) && node.form === 'matrix'
          ? [{ route, value: spoil(quantizeValues(node.value, node, how), node) }]
          : [],
      ),
    )

const withScales =
  (f: (scales: Float32Array, node: Quantized) => Float32Array) =>
  (node: Quantized): Quantized => ({
    ...node,
    absmax: constant(
      node.absmax!.label,
      adopt(f(read(node.absmax!.value) as Float32Array, node), node.absmax!.value.shape),
    ),
  })

/** The codes, one byte each, changed. */
const withCodes =
  (f: (codes: Uint8Array, node: Quantized, held: readonly number[]) => void) =>
  (node: Quantized, { value }: Param): Quantized => {
    const words = read(node.codes.value) as Int32Array
    const bytes = new Uint8Array(words.buffer)
    const codes = Uint8Array.from(
      { length: 2 * bytes.length },
      (_, i) => (bytes[i >> 1]! >> (i % 2 === 0 ? 4 : 0)) & 15,
    )
    const data = read(value)
    const held = Array.from(data, (_, i) => data[(i % node.rows) * node.columns + Math.floor(i / node.rows)]!)
    f(codes, node, held)
    bytes.forEach((_, i) => (bytes[i] = (codes[2 * i]! << 4) | codes[2 * i + 1]!))
    return { ...node, codes: { ...node.codes, value: adopt(words, node.codes.value.shape) } }
  }

const byRow = by(
  withScales((scales, { rows, columns }) =>
    scales.map((_, block) => scales[Math.floor((block * 64) / rows) % Math.min(columns, scales.length)]!),
  ),
)

const tiesUp = by(
  withCodes((codes, node, held) => {
    const scales = read(node.absmax!.value)
    held.forEach((x, i) => {
      const v = Math.fround(x * Math.fround(1 / scales[i >> 6]!))
      const code = codes[i]!
      if (code < 15 && v === Math.fround((nf4Map[code]! + nf4Map[code + 1]!) / 2)) codes[i] = code + 1
    })
  }),
)

const withoutTail = by(
  withCodes((codes, { rows, columns }) => {
    if ((rows * columns) % 2 === 1) codes[rows * columns - 1] = 7
  }),
)

// 128 · max / max does not fit a signed byte, and becomes -128.
const overflowing = by(
  (node) => {
    const words = read(node.codes.value) as Int32Array
    const bytes = new Int8Array(words.buffer)
    bytes.forEach((code, i) => (bytes[i] = Math.round((code * 128) / 127)))
    return { ...node, codes: { ...node.codes, value: adopt(words, node.codes.value.shape) } }
  },
  { scheme: 'int8' },
)

// The upper half of a float32 is a bfloat16, but seldom the nearest.
const cutOff = by(
  (node, { value }) => {
    const bits = new Uint16Array(read(transpose(value)).slice().buffer)
    const upper = bits.filter((_, i) => i % 2 === 1)
    const words = new Int32Array(node.codes.value.size)
    new Uint16Array(words.buffer).set(upper)
    return { ...node, codes: { ...node.codes, value: adopt(words, node.codes.value.shape) } }
  },
  { scheme: 'bf16' },
)

const notEmpty = withScales((scales) => scales.map((x) => x * (1 / x) * x))
const inHalf = withScales((scales) => scales.map((x) => Math.round(x * 1024) / 1024))

const bytesCounted = by((node) => ({ ...node, codes: { ...node.codes, standsFor: node.codes.value.size } }))

// A code book that is not symmetrical about its own rounding moves when it is read and written again.
const towardsZero = by(
  withCodes((codes, { rows, columns }) => {
    for (let i = 0; i < rows * columns; i++) if (codes[i]! > 7 && codes[i]! < 15) codes[i]! -= 1
  }),
)

const onlyFirst = (model: unknown): unknown => {
  const [first] = [...places(model)].filter(({ node }) => isParam(node) && node.form === 'matrix')
  const { node, route } = first as { node: Param; route: readonly string[] }
  return replaceAt(model, [{ route, value: quantizeValues(node.value, node) }])
}

const keepsDense = by((node) => {
  materialize(node, context())
  return node
})

const all = by((node) => node)
const right = quantize({ at: '**' }) as AnyTransform
const qlora = lora({ at: '**', rank: 2 }) as AnyTransform
const wide = { dims: { in: [2, 23], hidden: [2, 23], out: [1, 9] } } as const

export const quantizeFaults: readonly Fault[] = [
  {
    name: 'scales are looked up by row instead of by block',
    source: 'bitsandbytes 0.50.2 on CPUs with AVX-512: rows that are no multiple of 64 (cpu_ops.cpp)',
    law: errorWithinHalfGap,
    ...onNet,
    options: wide,
    broken: { transform: byRow },
    twin: { transform: all },
  },
  {
    name: 'ties go to the upper code',
    source: 'a search for the first midpoint that is not below; bytes differ from those of every other library',
    law: tiesGoLower,
    ...onNet,
    broken: { transform: tiesUp },
    twin: { transform: all },
  },
  {
    name: 'the last code of an odd count is dropped',
    source: 'loops over pairs of codes; torchao and MLX refuse such shapes instead',
    law: errorWithinHalfGap,
    ...onNet,
    broken: { transform: withoutTail },
    twin: { transform: all },
  },
  {
    name: 'int8 uses 128 levels, and the largest number turns its sign',
    source: 'absmax quantisation with 2^(bits-1) levels',
    law: errorWithinHalfGap,
    ...onNet,
    broken: { transform: overflowing },
    twin: { transform: by((node) => node, { scheme: 'int8' }) },
  },
  {
    name: 'halves are cut off instead of rounded',
    source: 'conversions to bfloat16 by a shift of 16 bits, common in kernels',
    law: roundsToNearestHalf,
    ...onNet,
    broken: { transform: cutOff },
    twin: { transform: by((node) => node, { scheme: 'bf16' }) },
  },
  {
    name: 'a block of zeros becomes NaN',
    source: 'bitsandbytes on CUDA: 1/0 · 0, which only the order of comparisons makes a code',
    law: zerosStayZero,
    ...onNet,
    broken: { transform: by(notEmpty) },
    twin: { transform: all },
  },
  {
    name: 'scales are held in fixed point',
    source: 'torchao NF4: linear int8 scalers with one global factor',
    law: scaleEquivariant,
    ...onNet,
    broken: { transform: by(inHalf) },
    twin: { transform: all },
  },
  {
    name: 'positive codes are truncated',
    source: 'quantisation by conversion to integers, which rounds towards zero',
    law: idempotentOnCodes,
    ...onNet,
    broken: { transform: towardsZero },
    twin: { transform: all },
  },
  {
    name: 'the packed bytes are counted as parameters',
    source: 'PEFT, print_trainable_parameters: needs a case for 4-bit weights, whose numel is half',
    law: countsAdd(() => 0),
    ...onNet,
    broken: { transform: bytesCounted },
    twin: { transform: all },
  },
  {
    name: 'merging into codes rounds the change away, and nothing is said',
    source: 'PEFT, merge of bnb Linear4bit: dequantise, add, quantise (issues 2105, 2321)',
    law: mergePreservesOutputs,
    ...onNet,
    options: { given: right },
    broken: { transform: qlora, using: { merge: (model) => requantize(model).model } },
    twin: { transform: qlora, using: { merge } },
  },
  {
    name: 'one place of a tie is quantised',
    source: 'an output head in 4 bits beside its dense embedding: two weights that were one (issue 2864)',
    law: keepsTies,
    ...onNet,
    broken: { transform: onlyFirst },
    twin: { transform: right },
  },
  {
    name: 'a dense copy stays behind',
    source: 'PEFT, merge_and_unload on 4-bit bases: the peak is the dense model (issue 1939)',
    law: leaksNothing,
    ...onNet,
    broken: { transform: keepsDense },
    twin: { transform: all },
  },
]
