import { describe, expect, test } from 'vitest'
import { applyRecipe, context, count, define, detach, get, key, layer, linear, loftq, lora } from '../../src/index.ts'
import { materialize, merge, pipe, quantize } from '../../src/index.ts'
import type { Lora, Quantized, Weight } from '../../src/index.ts'
import { normal, read } from '../../src/ops/index.ts'
import { withValue } from '../../src/tree/leaf.ts'

const Net = define('Net', { fc: linear('in', 'out', { bias: false }) }, (n, x, ctx) => layer(n.fc, x, ctx))
const fresh = Net.init({ in: 96, out: 80 }, key(0))
const base = { ...fresh, fc: { ...fresh.fc, weight: withValue(fresh.fc.weight, normal(key(1), [96, 80])) } }
const w = [...read(base.fc.weight.value)]

const errorOf = (weight: Weight): number => {
  const now = [...read(materialize(weight, context()))]
  return Math.sqrt(now.reduce((n, x, i) => n + (x - w[i]!) ** 2, 0) / w.reduce((n, x) => n + x * x, 0))
}
const at = { at: 'fc' } as const

describe('LoftQ', () => {
  test('is nearer to the weight than its codes alone, and nearer the longer it takes turns', () => {
    const plain = errorOf(quantize(at)(base).fc.weight)
    const errors = [1, 2, 5].map((iterations) => errorOf(loftq({ ...at, rank: 8, iterations })(base).fc.weight))
    // A normal weight loses about 9 % to NF4; rank 8 of 80 takes back what random residuals let it.
    expect(plain).toBeGreaterThan(0.08)
    expect(errors[0]).toBeLessThan(0.9 * plain)
    expect(errors[1]).toBeLessThan(errors[0]!)
    expect(errors[2]).toBeLessThan(errors[1]!)
  })

  test.each([{ alpha: 4, scaling: 'alpha/rank' }, { alpha: 0.25 }, { alpha: 3, scaling: 'alpha/sqrt(rank)' }] as const)(
    'the factor before A·B makes no difference: %o',
    (how) => {
      const [one, other] = [loftq({ ...at, rank: 8 })(base), loftq({ ...at, rank: 8, ...how })(base)]
      expect(errorOf(other.fc.weight)).toBeCloseTo(errorOf(one.fc.weight), 6)
    },
  )

  test('merges into the sum; what detach leaves is not what quantize makes of the weight', () => {
    const tuned = loftq({ ...at, rank: 8, iterations: 2 })(base)
    expect(errorOf(merge(tuned).fc.weight)).toBeCloseTo(errorOf(tuned.fc.weight), 6)
    const codes = (m: { readonly fc: { readonly weight: Quantized } }): string => read(m.fc.weight.codes.value).join()
    expect(detach(tuned).fc.weight).toBe(tuned.fc.weight.base)
    expect(codes(detach(tuned))).not.toBe(codes(quantize(at)(base)))
    expect(codes(detach(loftq({ ...at, rank: 8 })(base)))).toBe(codes(quantize(at)(base)))
  })

  test('counts what LoRA counts', () => {
    const [mine, qlora] = [loftq({ ...at, rank: 4 })(base), pipe(base, quantize(at), lora({ ...at, rank: 4 }))]
    expect(count(mine)).toEqual(count(qlora))
    const tuned = applyRecipe([{ loftq: { at: 'fc', rank: 4, scheme: 'int8' } }])(base)
    expect((get(tuned as never, 'fc.weight' as never) as Lora<Quantized>).base._tag).toBe('Int8')
  })

  test('refuses what it cannot begin from', () => {
    expect(() => loftq.unchecked({ ...at, rank: 4 })(quantize(at)(base))).toThrow('AlreadyQuantized')
    expect(() => loftq({ ...at, rank: 81 })(base)).toThrow('a rank up to 80')
    expect(() => loftq({ ...at, rank: 4, alpha: 0 })(base)).toThrow('an alpha > 0')
    expect(() => loftq({ ...at, rank: 4, iterations: 0 })(base)).toThrow('iterations')
    expect(() => loftq({ ...at, rank: 4, scheme: 'int8', doubleQuant: true })(base)).toThrow('Leave doubleQuant out')
  })
})
