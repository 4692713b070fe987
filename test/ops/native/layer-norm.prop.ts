import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { layerNormOps } from '../../../src/ops/defs/layer-norm.ts'
import { custom } from '../../../src/ops/native/custom.ts'
import { tf } from '../../../src/ops/tf.ts'
import { both, distance, has, noise, onNative, opOf, restrict, there } from './twins.ts'

onNative()

const layerNorm = opOf(layerNormOps, 'layerNorm')
const slope = opOf(layerNormOps, 'layerNormSlope')

const widths = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(384, 768, 769))
const rows = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(130))

describe.runIf(has).each(there)('with %s', (isa) => {
  test.prop([rows, widths, fc.boolean(), fc.boolean(), fc.constantFrom(1e-5, 1e-12, 0.5), fc.integer()])(
    'EspalierLayerNorm is its twin',
    (n, width, scaled, shifted, eps, seed) => {
      restrict(isa)
      const rest = [...(scaled ? [noise([width], seed + 1)] : []), ...(shifted ? [noise([width], seed + 2)] : [])]
      const { found, expected } = both(layerNorm, [noise([n, width], seed), ...rest], { eps, scaled, shifted })
      expect(distance(found, expected)).toBeLessThan(4e-6)
    },
  )

  // With a larger eps: a row of two numbers has a slope of nearly 0, times the spread, which is a difference of larger ones.
  test.prop([rows, widths, fc.constantFrom(0.01, 0.5), fc.integer()])(
    'EspalierLayerNormSlope is its twin',
    (n, width, eps, seed) => {
      restrict(isa)
      const { found, expected } = both(slope, [noise([n, width], seed), noise([n, width], seed + 1)], { eps })
      expect(distance(found, expected)).toBeLessThan(1e-5)
    },
  )

  it('keeps the digits of a small spread around a large mean', () => {
    restrict(isa)
    const x = noise([4, 301], 5)
    const { found, expected } = both(layerNorm, [{ ...x, data: Float32Array.from(x.data, (v) => 1000 + v) }], {
      eps: 1e-5,
      scaled: false,
      shifted: false,
    })
    expect(distance(found, expected)).toBeLessThan(2e-4)
  })
})

describe.runIf(has)('the kernels of layer normalisation', () => {
  it('refuse what does not fit', () => {
    const run = (op: string, inputs: readonly tf.Tensor[], attrs: Parameters<typeof custom>[2]) => () =>
      tf.tidy(() => custom(op, inputs, attrs, { shape: [2, 3] }))
    const eps = { float: 1e-5 }
    const [x, row] = [tf.zeros([2, 3]), tf.zeros([4])]
    const norm = (inputs: readonly tf.Tensor[], scaled: boolean) =>
      run('EspalierLayerNorm', inputs, { N: inputs.length - 1, eps, scaled, shifted: false })
    expect(norm([x], true)).toThrow(/if its attrs say so/)
    expect(norm([x, row], true)).toThrow(/sizes differ/)
    expect(norm([tf.scalar(1)], false)).toThrow(/takes rows/)
    expect(run('EspalierLayerNormSlope', [x, row], { eps })).toThrow(/of their size/)
    tf.dispose([x, row])
  })
})
