import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fc } from '@fast-check/vitest'
import { adopt, read, release } from '../../src/ops/index.ts'
import type { Constant, Param } from '../../src/tree/leaf.ts'
import { isTensor } from '../../src/tree/tensor.ts'
import type { Tensor } from '../../src/tree/tensor.ts'
import { equalBy } from '../../src/tree/equal.ts'

/** Text with anything in it that UTF-8 can hold. */
export const label: fc.Arbitrary<string> = fc
  .string({ unit: 'binary', maxLength: 6 })
  .filter((s) => !/\p{Surrogate}/u.test(s) && s !== '__metadata__')

const shape = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 })
const strange = fc.constantFrom(0x80000000, 0x7fc00001, 0xffc12345, 0x7f800001, 0x7f800000, 1)
const word = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), strange)

/** A tensor before it is made: a property makes its own and frees them. */
export interface Plan {
  readonly shape: readonly number[]
  readonly dtype: 'float32' | 'int32' | 'bool'
  readonly words: readonly number[]
}

export const plan: fc.Arbitrary<Plan> = fc.record({
  shape,
  dtype: fc.constantFrom('float32' as const, 'int32' as const, 'bool' as const),
  words: fc.array(word, { minLength: 27, maxLength: 27 }),
})

export const make = ({ shape, dtype, words }: Plan): Tensor => {
  const size = shape.reduce((n, length) => n * length, 1)
  const bits = Uint32Array.from(words.slice(0, size))
  if (dtype === 'bool')
    return adopt(
      Uint8Array.from(bits, (w) => w & 1),
      shape,
    )
  return adopt(dtype === 'int32' ? new Int32Array(bits.buffer) : new Float32Array(bits.buffer), shape)
}

export interface LeafPlan extends Plan {
  readonly label: string
  readonly kind: 'constant' | 'trainable' | 'frozen'
  readonly form: 'matrix' | 'table' | 'vector'
}

const leafPlan: fc.Arbitrary<LeafPlan> = fc
  .tuple(
    plan,
    fc.record({
      label,
      kind: fc.constantFrom('constant' as const, 'trainable' as const, 'frozen' as const),
      form: fc.constantFrom('matrix' as const, 'table' as const, 'vector' as const),
    }),
  )
  .map(([p, l]) => ({ ...p, ...l }))

/** Leaves with labels of their own. */
export const pool: fc.Arbitrary<readonly LeafPlan[]> = fc.uniqueArray(leafPlan, {
  selector: (l) => l.label,
  minLength: 1,
  maxLength: 6,
})

export const makeLeaf = (l: LeafPlan): Param | Constant =>
  l.kind === 'constant'
    ? { _tag: 'Constant', label: l.label, value: make(l) }
    : { _tag: 'Param', label: l.label, status: l.kind, form: l.form, value: make(l) }

/** A tree before it is made; a leaf is the number of one in the pool, so that the same one comes often. */
export type Shape =
  | { readonly leaf: number }
  | { readonly tensor: number }
  | { readonly data: unknown }
  | { readonly list: readonly Shape[] }
  | { readonly tag: string | null; readonly fields: readonly (readonly [string, Shape])[] }

const key = fc
  .oneof(
    fc.constantFrom('fc1', 'weight', 'base', '__proto__', 'constructor', 'toString', '0', 'length', 'label'),
    fc.string({ unit: 'binary', maxLength: 4 }),
  )
  .filter((k) => k !== '_tag' && !k.startsWith('~'))
const tag = fc
  .option(fc.oneof(fc.constantFrom('Linear', 'Lora', 'Net', 'Tensor'), label))
  .filter((s) => !/^(~|(Param|Constant|Hole)$)/.test(s ?? ''))

/** Shapes of trees: `atoms` are what stands at the ends besides leaves, of which there are some for sure. */
export const shapeOf = (atoms: fc.Arbitrary<Shape>, keys: fc.Arbitrary<string> = key): fc.Arbitrary<Shape> => {
  const leaf = fc.nat(5).map((n): Shape => ({ leaf: n }))
  const { tree } = fc.letrec<{ tree: Shape }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(leaf, atoms),
      fc.array(tie('tree'), { maxLength: 4 }).map((list) => ({ list })),
      fc.record({ tag, fields: fc.uniqueArray(fc.tuple(keys, tie('tree')), { selector: ([k]) => k, maxLength: 4 }) }),
    ),
  }))
  return fc.tuple(tag, tree, fc.array(leaf, { minLength: 1, maxLength: 4 })).map(([tag, body, list]) => ({
    tag,
    fields: [
      ['body', body],
      ['ends', { list }],
    ],
  }))
}

export const plainKey: fc.Arbitrary<string> = key.filter((k) => k !== 'base')

/** Plain data that a model may hold. */
export const data: fc.Arbitrary<Shape> = fc
  .oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constant(-0),
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
  )
  .map((x) => ({ data: x }))

export const tree = (s: Shape, leaves: readonly unknown[], tensors: readonly Tensor[] = []): unknown => {
  if ('leaf' in s) return leaves[s.leaf % leaves.length]
  if ('tensor' in s) return tensors[s.tensor % tensors.length]
  if ('data' in s) return s.data
  if ('list' in s) return s.list.map((c) => tree(c, leaves, tensors))
  const fields = s.fields.map(([k, c]) => [k, tree(c, leaves, tensors)] as const)
  return { ...(s.tag === null ? {} : { _tag: s.tag }), ...Object.fromEntries(fields) }
}

const bitsOf = (t: Tensor): string => {
  const { buffer, byteOffset, byteLength } = read(t)
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex')
}

/** The same structure, and the same bits in every tensor. */
export const same = equalBy(
  (a, b) => a.dtype === b.dtype && a.shape.join() === b.shape.join() && bitsOf(a) === bitsOf(b),
)

/** Which places of a tree hold one and the same leaf or tensor. */
export const sharing = (x: unknown): readonly number[] => {
  const seen = new Map<unknown, number>()
  const out: number[] = []
  const go = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if (isTensor(node) || ['Param', 'Constant'].includes((node as { _tag: string })._tag)) {
      if (!seen.has(node)) seen.set(node, seen.size)
      out.push(seen.get(node)!)
    }
    if (!isTensor(node)) Object.values(node).forEach(go)
  }
  go(x)
  return out
}

/** Three times as many runs as usual, for what needs luck. */
export const often: { readonly numRuns: number } = { numRuns: 3 * (fc.readConfigureGlobal()?.numRuns ?? 100) }

/** Runs with a folder of its own, and frees the tensors of what is `held` afterwards. */
export const inFolder = async <A>(use: (folder: string, hold: <T>(x: T) => T) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-io-'))
  const held: unknown[] = []
  try {
    return await use(folder, (x) => (held.push(x), x))
  } finally {
    release(held, { keep: [] })
    rmSync(folder, { recursive: true })
  }
}

/** Every file of a folder, by name. */
export const bytesOf = (folder: string): Readonly<Record<string, Buffer>> =>
  Object.fromEntries(
    readdirSync(folder)
      .toSorted()
      .map((name) => [name, readFileSync(join(folder, name))]),
  )
