import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { headLossOps } from '../../../src/ops/defs/head-loss.ts'
import { matmulOp } from '../../../src/ops/defs/matmul.ts'
import { allowNativeKernels, custom, hasNativeKernels, nativeProcessor } from '../../../src/ops/native/custom.ts'
import { nativePaths } from '../../../src/ops/native/location.ts'
import { run } from '../../../src/ops/native/process.ts'
import type { Array_, Attrs, Op } from '../../../src/ops/op.ts'
import { asTensor, asTf, tf } from '../../../src/ops/tf.ts'
import { best, both, computed, distance, has, noise, onNative, restrict, there, ownKernel } from './twins.ts'

onNative()

// Sizes around those at which a kernel takes another way, and others.
const few = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(47, 48, 49, 63, 64, 65, 96, 97))
const long = fc.oneof(few, fc.constantFrom(383, 384, 385, 500, 769))

describe.runIf(has)('the kernels of our own', () => {
  it('say on what they run, and use less where they are told to', () => {
    expect(nativeProcessor()!.threads).toBeGreaterThan(0)
    const found = there.map((isa) => {
      restrict(isa)
      allowNativeKernels(true)
      return nativeProcessor()!.isa
    })
    expect(found).toEqual(there)
    expect(found.at(-1)).toBe(best)
  })

  it('are not called where the binding is that of another version', () => {
    allowNativeKernels(false)
    expect(hasNativeKernels()).toBe(false)
    allowNativeKernels(true)
    expect(hasNativeKernels()).toBe(true)
  })

  it('refuse what does not fit, and read nothing behind an end', () => {
    const product = (a: readonly number[], b: readonly number[]) =>
      tf.tidy(() => custom('EspalierMatMul', [tf.zeros([...a]), tf.zeros([...b])], {}, { shape: [1] }))
    expect(() => product([2, 3], [2, 3])).toThrow(/inner sizes differ/)
    expect(() => product([2, 3, 1], [3, 2])).toThrow(/takes matrices/)
  })

  it('gives the same bits with any number of threads', async () => {
    const program = `
      const binding = require(process.argv[1])
      const noise = (...shape) => binding.createTensor(shape, 1, Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(i)))
      const read = (op, attrs, inputs) => binding.tensorDataSync(binding.executeOp(op, attrs, inputs, 1)[0].id)
      const flag = (name, value) => ({ name, type: 3, value })
      const int = (name, value) => ({ name, type: 1, value })
      const [, threads] = read('EspalierProcessor', [], [])
      const hash = require('node:crypto').createHash('sha256')
      const product = (a, b, turned) => hash.update(read('EspalierMatMul', [flag('transpose_b', turned)], [a, b]))
      for (const rows of [1, 32, 500]) {
        product(noise(rows, 400), noise(400, 700), false)
        product(noise(rows, 400), noise(700, 400), true)
        product(noise(rows, 400), noise(400, 8), false)
      }
      const labels = binding.createTensor([300], 3, Int32Array.from({ length: 300 }, (_, i) => 17 * i))
      const attrs = [int('NB', 0), int('ignore', -100), flag('transpose', true), flag('slope', true)]
      hash.update(read('EspalierHeadLoss', attrs, [noise(300, 200), noise(5100, 200), labels]))
      console.log(threads + ' ' + hash.digest('hex'))`
    const ended = await Promise.all(
      ['1', '2', '5'].map((count) =>
        run(
          { file: process.execPath, args: ['-e', program, nativePaths().binding] },
          { ...process.env, TF_NUM_INTRAOP_THREADS: count },
        ),
      ),
    )
    const found = ended.map(({ output }) => output.split(' '))
    expect(found.map(([threads]) => threads)).toEqual(['1', '2', '5'])
    expect(new Set(found.map(([, hash]) => hash)).size).toBe(1)
  })

  it('gives the same bits whichever thread comes first', () => {
    const [a, b] = [noise([512, 300], 7), noise([300, 500], 9)]
    const once = () => computed([a, b], [512, 500], (...x) => custom('EspalierMatMul', x, {}, { shape: [512, 500] }))
    const first = once()
    for (let i = 0; i < 5; i++) expect(once()).toEqual(first)
  })
})

describe.runIf(has).each(there)('with %s', (isa) => {
  test.prop([few, long, long, fc.boolean(), fc.boolean(), fc.integer()], { numRuns: 150 })(
    'EspalierMatMul is the product',
    (small, k, large, transposeA, transposeB, seed) => {
      restrict(isa)
      for (const [m, n] of [
        [small, large],
        [large, small],
      ] as const) {
        const a = noise(transposeA ? [k, m] : [m, k], seed)
        const b = noise(transposeB ? [n, k] : [k, n], seed + 1)
        const output = { shape: [m, n], dtype: 'float32' as const }
        const expected = matmulOp.reference([a, b], { transposeA, transposeB }, output)
        const attrs = { transpose_a: transposeA, transpose_b: transposeB }
        const found = computed([a, b], [m, n], (...x) => custom('EspalierMatMul', x, attrs, output))
        expect(distance(found, expected)).toBeLessThan(1e-5)
      }
    },
  )

  const headLoss = headLossOps.find(({ name }) => name === 'headLoss') as unknown as Op

  test.prop(
    [
      fc
        .record({
          rows: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constantFrom(64, 65, 530)),
          width: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(385)),
          classes: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(383, 384, 385, 1000, 3500)),
          seed: fc.integer(),
          // With 8 the logits are so far apart that the largest of a later block takes over.
          spread: fc.constantFrom(1, 8),
          transpose: fc.boolean(),
          biased: fc.boolean(),
          slope: fc.boolean(),
          cap: fc.constantFrom(0, 0, 1.5, 30),
        })
        .filter(({ rows, width, classes }) => rows * width * classes < 4e6),
    ],
    { numRuns: 80 },
  )('EspalierHeadLoss is the loss and its slope', ({ rows, width, classes, seed, spread, ...flags }) => {
    restrict(isa)
    const scaled = (x: Array_): Array_ => ({
      ...x,
      data: Float32Array.from(x.data, (v) => (v * spread) / Math.sqrt(width)),
    })
    const labels = Int32Array.from({ length: rows }, (_, i) => {
      const drawn = Math.imul(i + 1, seed | 1) >>> 8
      return drawn % 5 === 0 ? -100 : drawn % classes
    })
    const inputs: readonly Array_[] = [
      scaled(noise([rows, width], seed)),
      noise(flags.transpose ? [classes, width] : [width, classes], seed + 1),
      ...(flags.biased ? [noise([classes], seed + 2)] : []),
      { shape: [rows], data: labels },
    ]
    const attrs: Attrs = { ignore: -100, ...flags }
    const output = { shape: [flags.slope ? rows * width + rows : rows], dtype: 'float32' as const }
    const expected = headLoss.reference(inputs, attrs, output)
    const found = computed(inputs, output.shape, (...x) => asTf(ownKernel(headLoss)(x.map(asTensor), attrs, output)))
    const split = output.shape[0]! - rows
    expect(distance(found.slice(0, split), expected.slice(0, split))).toBeLessThan(2e-5)
    expect(distance(found.slice(split), expected.slice(split))).toBeLessThan(4e-6)
  })

  it.each([0, 3])('EspalierHeadLoss is finite where whole blocks of logits are -Infinity: cap %i', (cap) => {
    restrict(isa)
    const [rows, width, classes] = [3, 5, 5000]
    for (const [from, to] of [
      [0, 1024],
      [0, 4999],
      [1000, 3100],
    ] as const) {
      const bias = noise([classes], 3)
      bias.data.fill(-Infinity, from, to)
      const hidden = noise([rows, width], 1)
      const labels = { shape: [rows], data: Int32Array.of(4999, 4999, 4999) }
      const attrs = { ignore: -100, transpose: true, biased: true, cap, slope: true }
      const inputs = [hidden, noise([classes, width], 2), bias, labels]
      const { found, expected } = both(headLoss, inputs, attrs)
      expect(found.every(Number.isFinite)).toBe(true)
      expect(distance(found, expected)).toBeLessThan(2e-5)
      hidden.data[5] = NaN
      expect(Array.from(both(headLoss, inputs, attrs).found.slice(-3), Number.isNaN)).toEqual([false, true, false])
    }
  })
})
