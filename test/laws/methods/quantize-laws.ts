import {
  context,
  dequantize,
  get,
  isPacked,
  isParam,
  mapLeaves,
  materialize,
  places,
  requantize,
} from '../../../src/index.ts'
import { withValue } from '../../../src/index.ts'
import type { Param, Quantized } from '../../../src/index.ts'
import type { TransformLaw } from '../../../src/laws/index.ts'
import { every, structural, vacuous, verdict } from '../../../src/laws/index.ts'
import { mul, nf4Map, read, tensor } from '../../../src/ops/index.ts'

/** Every weight in few bits, and where it is. */
export const packedPlaces = (model: unknown) =>
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

// The bits of precision, and the least number above zero.
const halves = { Bf16: [8, 2 ** -133], F16: [11, 2 ** -24] } as const

/** What is rounded to 16 bits moves by half a unit in its last place at most, or half of the least number. */
export const roundsToNearestHalf: TransformLaw = structural({
  name: 'roundsToNearestHalf',
  says: 'No weight moves by more than half the gap between the halves around it.',
  equality: 'exact',
  check: ({ model, transform }) => {
    const all = packedPlaces(transform(model))
    if (all.length === 0) return vacuous('nothing was rounded')
    return every(all, ({ path, node }) => {
      const before = held(read((get(model as never, path as never) as Param).value), node)
      const after = denseOf(node)
      const [precision, least] = halves[node._tag as 'Bf16' | 'F16']
      const gap = (x: number): number =>
        x === 0 ? least : Math.max(least, 2 ** (Math.floor(Math.log2(Math.abs(x))) - precision + 1))
      const wrong = before.findIndex((x, i) => !(Math.abs(x - after[i]!) <= gap(x) / 2))
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
