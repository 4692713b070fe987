import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { packedOps } from '../../../src/ops/defs/packed.ts'
import type { PackedMatrix, PackedScheme } from '../../../src/ops/index.ts'
import { compile, gatherPacked, memory, read, scope, tensor, toHalves } from '../../../src/ops/index.ts'
import { custom } from '../../../src/ops/native/custom.ts'
import type { Array_, Attrs } from '../../../src/ops/op.ts'
import { tf } from '../../../src/ops/tf.ts'
import { both, distance, has, noise, onNative, opOf, restrict, there } from './twins.ts'

onNative()

// Sizes around those at which a kernel takes another way, and others.
const few = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(47, 48, 49, 63, 64, 65, 96, 97))
const long = fc.oneof(few, fc.constantFrom(383, 384, 385, 500, 769))

const schemes: readonly (readonly [PackedScheme, boolean])[] = [
  ['nf4', false],
  ['nf4', true],
  ['int8', false],
  ['bf16', false],
  ['f16', false],
]

/** The tensors of a packed matrix: any codes, halves from the subnormal numbers up to large ones. */
const partsOf = (
  scheme: PackedScheme,
  nested: boolean,
  rows: number,
  size: number,
  seed: number,
): readonly Array_[] => {
  const words = (count: number, perWord: number, salt: number): Array_ => ({
    shape: [Math.ceil(count / perWord)],
    data: Int32Array.from({ length: Math.ceil(count / perWord) }, (_, i) => Math.imul(i + salt, 0x9e3779b1)),
  })
  const scales = (count: number): Array_ => ({
    shape: [count],
    data: Float32Array.from({ length: count }, (_, i) => 0.25 + (i % 7) / 9),
  })
  if (scheme === 'int8') return [words(size, 4, seed), scales(rows)]
  if (scheme === 'nf4') {
    const blocks = Math.ceil(size / 64)
    const offset: Array_ = { shape: [], data: Float32Array.of(0.3) }
    return [
      words(size, 8, seed),
      ...(nested ? [words(blocks, 4, seed + 1), scales(Math.ceil(blocks / 256)), offset] : [scales(blocks)]),
    ]
  }
  const halves = new Uint16Array(2 * Math.ceil(size / 2))
  const numbers = Float32Array.from({ length: size }, (_, i) => Math.sin(i + seed) * 2 ** ((i % 30) - 20))
  halves.set(toHalves(numbers, scheme))
  return [{ shape: [halves.length / 2], data: new Int32Array(halves.buffer) }]
}

/** Where two results differ in a bit; -1 if nowhere. */
const differs = ({ found, expected }: ReturnType<typeof both>): number =>
  found.length === expected.length ? found.findIndex((x, i) => !Object.is(x, expected[i])) : 0

const matrices = fc.record({ rows: long, columns: long, scheme: fc.constantFrom(...schemes), seed: fc.integer() })

describe.runIf(has).each(there)('with %s', (isa) => {
  test.prop([matrices, few, fc.boolean()], { numRuns: 100 })(
    'EspalierMatMulPacked is the product with what the codes mean',
    ({ rows, columns, scheme: [scheme, nested], seed }, m, transpose) => {
      restrict(isa)
      const x = noise([m, transpose ? columns : rows], seed)
      const attrs: Attrs = { scheme, shape: [rows, columns], transpose }
      const parts = partsOf(scheme, nested, rows, rows * columns, seed)
      const { found, expected } = both(opOf(packedOps, 'matmulPacked'), [x, ...parts], attrs)
      expect(distance(found, expected)).toBeLessThan(1e-5)
    },
  )

  test.prop([matrices, fc.array(fc.nat(), { minLength: 1, maxLength: 70 }), fc.constantFrom<0 | 1>(0, 1)], {
    numRuns: 100,
  })(
    'EspalierGatherPacked and EspalierUnpack give what the codes mean, to the last bit',
    ({ rows, columns, scheme: [scheme, nested], seed }, drawn, axis) => {
      restrict(isa)
      const shape = [rows, columns] as const
      const parts = partsOf(scheme, nested, rows, rows * columns, seed)
      const ids = { shape: [1, drawn.length], data: Int32Array.from(drawn, (id) => id % shape[axis]) }
      const some = both(opOf(packedOps, 'gatherPacked'), [ids, ...parts], { scheme, shape, axis })
      expect(differs(some)).toBe(-1)
      const all = both(opOf(packedOps, 'unpack'), parts, { scheme, shape })
      expect(differs(all)).toBe(-1)
    },
  )

  it('keeps subnormal numbers, on every thread', () => {
    restrict(isa)
    const shape = [60, 4001] as const
    const data = Int32Array.from({ length: (60 * 4001) / 2 }, (_, i) => 0x00030001 + (i % 90))
    const bits = both(opOf(packedOps, 'unpack'), [{ shape: [data.length], data }], { scheme: 'bf16', shape })
    expect(differs(bits)).toBe(-1)
    const scales = { shape: [60], data: new Float32Array(60).fill(2 ** -130) }
    const codes = { shape: [(60 * 4004) / 4], data: new Int32Array((60 * 4004) / 4).fill(0x7f020180) }
    const products = both(opOf(packedOps, 'unpack'), [codes, scales], { scheme: 'int8', shape: [60, 4004] })
    expect(differs(products)).toBe(-1)
    expect(products.found[1]).toBe(2 ** -130)
  })
})

describe.runIf(has)('the kernels of packed matrices', () => {
  it('refuse what does not fit, and read nothing behind an end', () => {
    const packed = (codes: number, scheme: string) =>
      tf.tidy(() =>
        custom(
          'EspalierMatMulPacked',
          [tf.zeros([1, 4]), tf.zeros([codes], 'int32')],
          { Q: 0, N: 0, scheme, rows: 4, columns: 6 },
          { shape: [1, 6] },
        ),
      )
    expect(() => packed(11, 'bf16')).toThrow(/other lengths/)
    expect(() => packed(12, 'int8')).toThrow(/other lengths/)
    expect(() => packed(12, 'int3')).toThrow(/no scheme int3/)
    expect(packed(12, 'f16').shape).toEqual([1, 6])
  })

  it.each([0, 1] as const)('leave an id outside to the op itself, which says so: axis %i', (axis) => {
    const matrix = {
      scheme: 'bf16',
      shape: [3, 4],
      codes: tensor(new Int32Array(6).fill(0x40003f80)),
      scales: [],
    } as const
    const rows = compile((table: PackedMatrix, ids: ReturnType<typeof tensor>) => gatherPacked(table, ids, axis))
    const before = memory().tensors
    scope(() => {
      for (const id of [-1, 3 + axis]) {
        const ids = tensor([0, id], [2], 'int32')
        expect(() => gatherPacked(matrix, ids, axis)).toThrow(/OutOfRange/)
        expect(() => rows(matrix, ids)).toThrow(/OutOfRange/)
      }
      const ids = tensor([1], [1], 'int32')
      expect([...read(rows(matrix, ids))]).toEqual(axis === 0 ? [1, 2, 1, 2] : [2, 2, 2])
      expect(rows.report()).toEqual({ graphs: 2, direct: [expect.stringContaining('refused the values')] })
    })
    expect(memory().tensors).toBe(before)
  })
})
