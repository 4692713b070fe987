import { afterAll, describe, expect, test } from 'vitest'
import { bytesAtRest, context, dequantize, define, key, layer, linear, lora, materialize } from '../../src/index.ts'
import { detach, merge, pipe, project, quantize, requantize } from '../../src/index.ts'
import type { Quantized } from '../../src/index.ts'
import { packedFromStored } from '../../src/io/tensors/packed.ts'
import { fromStored, loadModel, orThrow, saveModel } from '../../src/io/index.ts'
import type { StoredTensor } from '../../src/io/index.ts'
import { engine, fromHalves, matmul, memory, read, scope, tensor, toHalves, transpose } from '../../src/ops/index.ts'
import type { Half } from '../../src/ops/index.ts'
import { withValue } from '../../src/tree/leaf.ts'
import { quantizeValues } from '../../src/weight/quantized.ts'
import { inFolder } from '../io/trees.ts'

const ctx = context()
const halves = [
  ['bf16', 'BF16'],
  ['f16', 'F16'],
] as const
const sines = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i + 1) * 3)

const stored = (dtype: 'BF16' | 'F16', shape: readonly [number, number], half: Half): StoredTensor => ({
  dtype,
  shape,
  data: toHalves(sines(shape[0] * shape[1]), half),
})

const bits = (w: Quantized): Uint16Array => {
  const words = read(w.codes.value)
  return new Uint16Array(words.buffer, words.byteOffset, w.rows * w.columns)
}

describe.each(halves)('%s', (half, dtype) => {
  test.each([
    [1, 1],
    [3, 5],
    [4, 6],
    [33, 65],
  ])('the bits of a file are the weight: [%i, %i]', (first, second) => {
    const file = stored(dtype, [first, second], half)
    const codes = Uint16Array.from(file.data as Uint16Array)
    const dense = fromStored(file, { halves: 'float32' })
    if (dense._tag === 'Left') throw new Error('widened')

    const table = packedFromStored('table', 'w', file)
    expect([table.rows, table.columns, table.codes.label]).toEqual([first, second, 'w.codes'])
    expect(bits(table)).toEqual(codes)
    expect(read(materialize(table, ctx))).toEqual(read(dense.right))

    const matrix = packedFromStored('matrix', 'w', file)
    expect([matrix.rows, matrix.columns]).toEqual([second, first])
    expect(bits(matrix)).toEqual(codes)
    expect(read(materialize(matrix, ctx))).toEqual(read(transpose(dense.right)))

    const gpt2 = packedFromStored('matrix', 'w', file, { transpose: true })
    expect([gpt2.rows, gpt2.columns]).toEqual([first, second])
    expect(read(materialize(gpt2, ctx))).toEqual(read(dense.right))
    // It is the weight that quantising the widened one gives.
    expect(bits(gpt2)).toEqual(bits(quantizeValues(dense.right, { label: 'w', form: 'matrix' }, { scheme: half })))
    expect(bytesAtRest(gpt2)).toBe(4 * Math.ceil((first * second) / 2))
  })

  test('bits that begin at an odd place of their file are taken too', () => {
    const data = toHalves(sines(7), half).subarray(1)
    const weight = packedFromStored('table', 'w', { dtype, shape: [2, 3], data })
    expect(bits(weight)).toEqual(Uint16Array.from(data))
  })

  test('every number that is one comes back, NaN and infinities of a file too', () => {
    const data = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const weight = packedFromStored('table', 'w', { dtype, shape: [256, 256], data })
    const [found, wide] = [read(materialize(weight, ctx)), fromHalves(data, half)]
    expect(data.filter((i) => !Object.is(found[i], wide[i]))).toEqual(new Uint16Array(0))
  })

  test('other files are refused', () => {
    const file = stored(dtype, [2, 3], half)
    expect(() => packedFromStored('matrix', 'w', { ...file, shape: [6] })).toThrow('BadShape at w')
    const float: StoredTensor = { dtype: 'F32', shape: [1, 1], data: new Float32Array(1) }
    expect(() => packedFromStored('matrix', 'w', float)).toThrow('UnsupportedDType at w')
  })

  const Net = define('Net', { fc: linear('in', 'out', { bias: false }) }, (n, x, c) => layer(n.fc, x, c))
  const plain = Net.init({ in: 5, out: 3 }, key(0))
  const values = fromHalves(toHalves(sines(15), half), half)
  const net = { ...plain, fc: { ...plain.fc, weight: withValue(plain.fc.weight, tensor(values, [5, 3])) } }

  test('of a weight that fits, dequantize gives back every bit, and an adapter stands on it', async () => {
    const small = quantize({ at: '**', scheme: half })(net)
    expect(read(dequantize(small).fc.weight.value)).toEqual(values)
    const tuned = pipe(small, lora({ at: '**', rank: 2 }))
    const factors = tuned.fc.weight
    const b = withValue(factors.b, tensor(sines(6), [2, 3]))
    const grown = { ...tuned, fc: { ...tuned.fc, weight: { ...factors, b } } }
    const delta = read(matmul(factors.a.value, b.value))
    const merged = read(merge(grown).fc.weight.value)
    values.forEach((x, i) => expect(merged[i]).toBeCloseTo(x + delta[i]!, 5))
    const { model, weights } = requantize(grown)
    expect(bits(model.fc.weight)).toEqual(
      bits(quantizeValues(merge(grown).fc.weight.value, net.fc.weight, { scheme: half })),
    )
    expect(weights[0]!.kept).toBeGreaterThan(0.95)
    expect(detach(tuned).fc.weight).toBe(small.fc.weight)
    await inFolder(async (folder) => {
      await orThrow(saveModel(small, folder))
      const again = await orThrow(loadModel(folder, small))
      expect(bits(again.fc.weight)).toEqual(bits(small.fc.weight))
    })
  })
})

test('what is too large for float16 is refused by name, and bfloat16 takes it', () => {
  const large = tensor([[70000, 1]])
  const named = { label: 'fc.weight', form: 'matrix' } as const
  expect(() => quantizeValues(large, named, { scheme: 'f16' })).toThrow(/NonFinite at fc\.weight: .*65504[\s\S]*bf16/)
  expect(read(materialize(quantizeValues(large, named, { scheme: 'bf16' }), ctx))).toEqual(Float32Array.of(70144, 1))
})

const available = ['js'] as ('js' | 'wasm' | 'native')[]
for (const name of ['wasm', 'native'] as const)
  await engine({ prefer: name, quiet: true }).then(
    () => available.push(name),
    () => undefined,
  )
afterAll(() => engine({ prefer: 'js', quiet: true }))

test.each(available)('on %s two bytes a weight are at rest, and none of a dense copy is left', async (name) => {
  await engine({ prefer: name, quiet: true })
  const [rows, columns] = [256, 128]
  const data = toHalves(sines(rows * columns), 'bf16')
  const x = tensor(sines(2 * columns), [2, columns])
  const before = memory().bytes
  const weight = packedFromStored('matrix', 'w', { dtype: 'BF16', shape: [rows, columns], data })
  expect(memory().bytes - before).toBe(2 * rows * columns)
  const y = scope(() => read(project(x, weight, ctx)).slice())
  expect(memory().bytes - before).toBe(2 * rows * columns)
  const wide = fromHalves(data, 'bf16')
  const expected = Array.from({ length: rows }, (_, o) =>
    sines(columns).reduce((n, v, i) => n + v * wide[o * columns + i]!, 0),
  )
  expected.forEach((v, o) => expect(y[o]).toBeCloseTo(v, 2))
})
